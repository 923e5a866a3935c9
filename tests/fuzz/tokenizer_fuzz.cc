// Any bytes as text, pair, or question and context. The first three bytes say
// how long encodings may be, and where the bytes are split in two.

#include <cstdint>
#include <cstdlib>

#include "tests/fuzz/fuzz_folder.h"
#include "tests/tiny_model.h"
#include "tokenizer/tokenizer.h"

namespace tern {
namespace {

void Check(bool holds) {
  if (!holds) std::abort();
}

const Tokenizer& TheTokenizer() {
  static const FuzzFolder folder;
  static const auto tokenizer = [] {
    Check(WriteTinyModel(folder.path()).ok());
    return Tokenizer::Load(folder.path()).value();
  }();
  return *tokenizer;
}

// What callers rely on.
void CheckEncoding(const Encoding& encoding, size_t text_bytes,
                   size_t pair_bytes, int max_tokens) {
  Check(static_cast<int>(encoding.ids.size()) <= max_tokens);
  Check(encoding.ids.size() == encoding.type_ids.size());
  Check(encoding.ids.size() == encoding.offsets.size());
  for (size_t t = 0; t < encoding.ids.size(); ++t) {
    Check(encoding.ids[t] >= 0);
    Check(encoding.ids[t] < TheTokenizer().vocabulary_size());
    const auto [begin, end] = encoding.offsets[t];
    Check(0 <= begin && begin <= end);
    const bool in_pair = encoding.type_ids[t] == 1;
    Check(static_cast<size_t>(end) <= (in_pair ? pair_bytes : text_bytes));
  }
}

}  // namespace
}  // namespace tern

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tern;
  if (size < 3) return 0;
  const int max_tokens = 3 + data[0] % 126;
  const int stride = 1 + data[1] % 32;
  const absl::string_view bytes(reinterpret_cast<const char*>(data + 3),
                                size - 3);
  const absl::string_view text = bytes.substr(0, bytes.size() * data[2] / 255);
  const absl::string_view pair = bytes.substr(text.size());
  const Tokenizer& tokenizer = TheTokenizer();

  if (const auto encoding = tokenizer.Encode(bytes, max_tokens);
      encoding.ok()) {
    CheckEncoding(*encoding, bytes.size(), 0, max_tokens);
  }
  if (const auto encoding = tokenizer.EncodePair(text, pair, max_tokens);
      encoding.ok()) {
    CheckEncoding(*encoding, text.size(), pair.size(), max_tokens);
  }
  if (max_tokens >= stride + 4) {
    if (const auto windows =
            tokenizer.EncodeWindows(text, pair, max_tokens, stride);
        windows.ok()) {
      for (const Encoding& window : *windows) {
        CheckEncoding(window, text.size(), pair.size(), max_tokens);
      }
    }
  }
  return 0;
}

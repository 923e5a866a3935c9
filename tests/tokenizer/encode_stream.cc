// Encodes a stream of requests, so that tests/tokenizer/parity.py can compare
// many strings with Hugging Face.
//
// Usage: tern-tokenizer-stream FOLDER < requests > encodings
// Numbers are little-endian int32, as this machine's.
//   request   kind (0 text, 1 pair, 2 windows), max_tokens, stride,
//             bytes of text, bytes of pair, the text, the pair
//   answer    number of encodings, each: tokens n, pair_begin, truncated,
//             ids [n], type_ids [n], offsets [n, 2]

#include <cstdint>
#include <cstdio>
#include <iostream>
#include <string>
#include <vector>

#include "tokenizer/tokenizer.h"

namespace tern {
namespace {

enum Kind : int32_t { kText, kPair, kWindows };

struct RequestHeader {
  Kind kind;
  int32_t max_tokens;
  int32_t stride;
  int32_t text_bytes;
  int32_t pair_bytes;
};

bool Read(void* to, size_t bytes) {
  return std::fread(to, 1, bytes, stdin) == bytes;
}

void Write(const void* from, size_t bytes) {
  std::fwrite(from, 1, bytes, stdout);
}

void WriteEncoding(const Encoding& encoding) {
  const int32_t header[] = {static_cast<int32_t>(encoding.ids.size()),
                            encoding.pair_begin, encoding.truncated};
  Write(header, sizeof header);
  Write(encoding.ids.data(), encoding.ids.size() * sizeof(int32_t));
  Write(encoding.type_ids.data(), encoding.type_ids.size() * sizeof(int32_t));
  Write(encoding.offsets.data(), encoding.offsets.size() * sizeof(TextSpan));
}

absl::StatusOr<std::vector<Encoding>> Encode(const Tokenizer& tokenizer,
                                             const RequestHeader& header,
                                             const std::string& text,
                                             const std::string& pair) {
  if (header.kind == kWindows) {
    return tokenizer.EncodeWindows(text, pair, header.max_tokens,
                                   header.stride);
  }
  absl::StatusOr<Encoding> encoding =
      header.kind == kText
          ? tokenizer.Encode(text, header.max_tokens)
          : tokenizer.EncodePair(text, pair, header.max_tokens);
  if (!encoding.ok()) return encoding.status();
  return std::vector<Encoding>{*std::move(encoding)};
}

absl::Status Run(const std::string& folder) {
  absl::StatusOr<std::unique_ptr<Tokenizer>> tokenizer =
      Tokenizer::Load(folder);
  if (!tokenizer.ok()) return tokenizer.status();
  RequestHeader header;
  while (Read(&header, sizeof header)) {
    std::string text(header.text_bytes, '\0');
    std::string pair(header.pair_bytes, '\0');
    if (!Read(text.data(), text.size()) || !Read(pair.data(), pair.size())) {
      return absl::InvalidArgumentError("the last request is cut short");
    }
    const absl::StatusOr<std::vector<Encoding>> encodings =
        Encode(**tokenizer, header, text, pair);
    if (!encodings.ok()) return encodings.status();
    const int32_t count = static_cast<int32_t>(encodings->size());
    Write(&count, sizeof count);
    for (const Encoding& encoding : *encodings) WriteEncoding(encoding);
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace tern

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: tern-tokenizer-stream FOLDER < requests\n";
    return 2;
  }
  const absl::Status status = tern::Run(argv[1]);
  if (status.ok()) return 0;
  std::cerr << "tern-tokenizer-stream: " << status << "\n";
  return 1;
}

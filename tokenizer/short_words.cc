#include "tokenizer/short_words.h"

#include <algorithm>
#include <cstring>

namespace tern {

ShortWordTable::ShortWordTable(
    const std::vector<std::pair<std::string, int32_t>>& tokens) {
  std::vector<Slot> words;
  for (const auto& [token, id] : tokens) {
    if (token.empty() || token.size() > kMaxBytes) continue;
    EightBytes key = 0;
    std::memcpy(&key, token.data(), token.size());
    if (AsciiWordSize(key) == static_cast<int>(token.size())) {
      words.push_back({key, id});
    }
  }
  slots_.resize(std::bit_ceil(std::max<size_t>(2, 2 * words.size() + 1)));
  shift_ = 64 - std::countr_zero(slots_.size());
  for (const Slot& word : words) {
    uint64_t i = SlotOf(word.key);
    while (slots_[i].key != 0) i = (i + 1) & (slots_.size() - 1);
    slots_[i] = word;
  }
}

}  // namespace tern

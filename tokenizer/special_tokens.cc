#include "tokenizer/special_tokens.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

namespace tern {

absl::StatusOr<SpecialTokens> SpecialTokens::Build(
    const std::map<std::string, int32_t>& id_of) {
  absl::StatusOr<PieceTrie> trie =
      PieceTrie::Build({id_of.begin(), id_of.end()});
  if (!trie.ok()) return trie.status();
  SpecialTokens tokens(*std::move(trie));
  for (const auto& [content, id] : id_of) {
    tokens.is_first_byte_[static_cast<unsigned char>(content.front())] = true;
  }
  const auto& is_first = tokens.is_first_byte_;
  if (std::count(is_first.begin(), is_first.end(), true) == 1) {
    tokens.only_first_byte_ =
        std::find(is_first.begin(), is_first.end(), true) - is_first.begin();
  }
  return tokens;
}

SpecialTokens::Match SpecialTokens::FindNext(absl::string_view text,
                                             int32_t from) const {
  const int32_t size = static_cast<int32_t>(text.size());
  for (int32_t begin = from;; ++begin) {
    begin = FindCandidate(text, begin);
    if (begin == size) return {-1, {size, size}};
    Match longest = {-1, {}};
    const PieceTrie::Cell* node = &trie_.root();
    for (int32_t at = begin; at < size; ++at) {
      node = trie_.Step(*node, static_cast<unsigned char>(text[at]));
      if (node == nullptr) break;
      if (node->token >= 0) longest = {node->token, {begin, at + 1}};
    }
    if (longest.token >= 0) return longest;
  }
}

int32_t SpecialTokens::FindCandidate(absl::string_view text,
                                     int32_t from) const {
  const int32_t size = static_cast<int32_t>(text.size());
  if (from == size) return size;
  if (only_first_byte_ >= 0) {
    const void* found =
        std::memchr(text.data() + from, only_first_byte_, size - from);
    return found == nullptr ? size
                            : static_cast<const char*>(found) - text.data();
  }
  while (from < size && !is_first_byte_[static_cast<unsigned char>(text[from])])
    ++from;
  return from;
}

}  // namespace tern

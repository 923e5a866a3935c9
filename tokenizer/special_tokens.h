// Tokens that are matched in the raw text, before any normalization, and stay
// whole: [MASK], [SEP] and what tokenizer_config.json adds.
//
// Thread-safe: constant after Build.

#ifndef TERN_TOKENIZER_SPECIAL_TOKENS_H_
#define TERN_TOKENIZER_SPECIAL_TOKENS_H_

#include <array>
#include <cstdint>
#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "tokenizer/piece_trie.h"
#include "tokenizer/tokenizer.h"

namespace tern {

class SpecialTokens {
 public:
  struct Match {
    int32_t token;  // -1: none is left, and `span` is empty at the end
    TextSpan span;
  };

  static absl::StatusOr<SpecialTokens> Build(
      const std::map<std::string, int32_t>& id_of);

  // The leftmost special token in `text` from byte `from` on; the longest, if
  // several begin there.
  Match FindNext(absl::string_view text, int32_t from) const;

 private:
  explicit SpecialTokens(PieceTrie trie) : trie_(std::move(trie)) {}

  // The first byte at or after `from` that begins some special token.
  int32_t FindCandidate(absl::string_view text, int32_t from) const;

  PieceTrie trie_;
  std::array<bool, 256> is_first_byte_ = {};
  int only_first_byte_ = -1;  // if all begin alike, as BERT's with '['
};

}  // namespace tern

#endif  // TERN_TOKENIZER_SPECIAL_TOKENS_H_

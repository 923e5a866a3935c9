// WordPiece: a word becomes the longest known piece at its start, then the
// longest known continuation ("##ing"), and so on; if that fails anywhere, the
// whole word is unknown.
//
// Thread-safe: constant after construction.

#ifndef TERN_TOKENIZER_WORDPIECE_H_
#define TERN_TOKENIZER_WORDPIECE_H_

#include <array>
#include <cstdint>

#include "absl/strings/string_view.h"
#include "tokenizer/piece_trie.h"
#include "tokenizer/word.h"

namespace tern {

// Maps bytes before they are matched: to lower case, or to themselves.
using ByteMap = std::array<unsigned char, 256>;

class WordPiece {
 public:
  struct Piece {
    int32_t token;
    int32_t end_bytes;  // in the word; it begins where its predecessor ends
  };
  using Pieces = std::array<Piece, kMaxWordCharacters>;

  // `trie` must outlive this.
  explicit WordPiece(const PieceTrie& trie)
      : trie_(trie), continuations_(trie.Walk("##")) {}

  // Splits `word`, of which `byte_map` maps each byte first, into `pieces`.
  // Returns how many; 0 when the word is unknown. The word has at least 1 and
  // at most kMaxWordCharacters characters.
  int Split(absl::string_view word, const ByteMap& byte_map,
            Pieces& pieces) const {
    const PieceTrie::Cell* node = &trie_.root();
    const int size_bytes = static_cast<int>(word.size());
    int begin = 0;
    int count = 0;
    while (begin < size_bytes) {
      Piece longest = {-1, begin};
      for (int at = begin; at < size_bytes; ++at) {
        node =
            trie_.Step(*node, byte_map[static_cast<unsigned char>(word[at])]);
        if (node == nullptr) break;
        if (node->token >= 0) longest = {node->token, at + 1};
      }
      if (longest.token < 0) return 0;
      pieces[count++] = longest;
      begin = longest.end_bytes;
      node = &continuations_;
    }
    return count;
  }

 private:
  const PieceTrie& trie_;
  const PieceTrie::Cell& continuations_;
};

}  // namespace tern

#endif  // TERN_TOKENIZER_WORDPIECE_H_

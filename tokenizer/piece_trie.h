// Finds the longest known token at the start of a string, one table look-up
// per byte.
//
// A double-array trie (Aoe 1989) over bytes: the child of a node for byte `b`
// lies at `base + b` if the cell there is labelled `b`. No two nodes share a
// base, so the label alone identifies the parent. A cell is 8 bytes; BERT's
// 30,522 tokens take about 1 MB.
//
// Thread-safe: constant after Build.

#ifndef TERN_TOKENIZER_PIECE_TRIE_H_
#define TERN_TOKENIZER_PIECE_TRIE_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace tern {

class PieceTrie {
 public:
  struct Cell {
    uint32_t base : 23;
    uint32_t label : 9;  // the byte that leads here, or kUnused
    int32_t token;       // the id of the token that ends here, or -1
  };
  static constexpr uint32_t kUnused = 256;

  // A node without children, hence one from which nothing matches.
  static constexpr Cell kNowhere = {0, kUnused, -1};

  // Builds from distinct (token, id) pairs.
  // Errors: INVALID_ARGUMENT when they need more than 2^23 cells.
  static absl::StatusOr<PieceTrie> Build(
      std::vector<std::pair<std::string, int32_t>> tokens);

  const Cell& root() const { return cells_[kRoot]; }

  // The node that `byte` leads to from `node`, or null.
  const Cell* Step(const Cell& node, unsigned char byte) const {
    const Cell* next = cells_.data() + node.base + byte;
    return next->label == byte ? next : nullptr;
  }

  // The node that `prefix` leads to from the root, or kNowhere.
  const Cell& Walk(absl::string_view prefix) const;

  int cell_count() const { return static_cast<int>(cells_.size()); }

 private:
  friend class PieceTrieBuilder;
  // Cells below kRoot stay unused: they are the "children" of base 0.
  static constexpr uint32_t kRoot = 256;

  std::vector<Cell> cells_;
};

}  // namespace tern

#endif  // TERN_TOKENIZER_PIECE_TRIE_H_

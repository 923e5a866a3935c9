#include "tokenizer/piece_trie.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace tern {

// Places the nodes of sorted tokens into cells, parents before children.
class PieceTrieBuilder {
 public:
  using Tokens = std::vector<std::pair<std::string, int32_t>>;

  explicit PieceTrieBuilder(const Tokens& tokens) : tokens_(tokens) {
    Grow(PieceTrie::kRoot + 1);
    Occupy(PieceTrie::kRoot, 0);
  }

  absl::StatusOr<PieceTrie> Build() {
    pending_.push_back({PieceTrie::kRoot, 0, tokens_.size(), 0});
    while (!pending_.empty()) {
      const Node node = pending_.back();
      pending_.pop_back();
      if (!Place(node)) {
        return absl::InvalidArgumentError(absl::StrCat(
            "vocabulary of ", tokens_.size(), " tokens: expected at most ",
            kMaxCells, " trie cells, it needs more"));
      }
    }
    Grow(cells_.size() + 256);  // so that base + byte always is a cell
    PieceTrie trie;
    trie.cells_ = std::move(cells_);
    return trie;
  }

 private:
  // tokens_[begin, end) share their first `depth` bytes, which lead to `cell`.
  struct Node {
    uint32_t cell;
    size_t begin;
    size_t end;
    size_t depth;
  };
  static constexpr size_t kMaxCells = size_t{1} << 23;
  // A node that does not fit within this many free cells goes to the end:
  // building stays linear and the table about nine tenths full.
  static constexpr int kMaxTries = 64;

  // Gives `node` its token, and its children their cells. False if full.
  bool Place(Node node) {
    const auto byte_of = [&](size_t i) {
      return static_cast<unsigned char>(tokens_[i].first[node.depth]);
    };
    if (node.begin < node.end &&
        tokens_[node.begin].first.size() == node.depth) {
      cells_[node.cell].token = tokens_[node.begin].second;
      ++node.begin;
    }
    if (node.begin == node.end) return true;
    children_.clear();
    for (size_t i = node.begin; i < node.end;) {
      const size_t begin = i;
      while (i < node.end && byte_of(i) == byte_of(begin)) ++i;
      children_.push_back({byte_of(begin), begin, i});
    }
    const uint32_t base = FindBase();
    if (base + 512 > kMaxCells) return false;
    Grow(base + 256);
    base_taken_[base] = true;
    cells_[node.cell].base = base;
    for (const Child& child : children_) {
      Occupy(base + child.byte, child.byte);
      pending_.push_back(
          {base + child.byte, child.begin, child.end, node.depth + 1});
    }
    return true;
  }

  // A base that no node has, at which the cells of all `children_` are free.
  uint32_t FindBase() {
    const uint32_t first_byte = children_.front().byte;
    uint32_t cell = PieceTrie::kRoot + 1 + first_byte;
    for (int tries = 0; tries < kMaxTries; ++tries, ++cell) {
      cell = NextFree(cell);
      if (cell >= cells_.size()) break;
      if (Fits(cell - first_byte)) return cell - first_byte;
    }
    return std::max<uint32_t>(cells_.size(), PieceTrie::kRoot + 1);
  }

  bool Fits(uint32_t base) const {
    return !base_taken_[base] &&
           std::all_of(
               children_.begin(), children_.end(), [&](const Child& child) {
                 const uint32_t cell = base + child.byte;
                 return cell >= cells_.size() || next_free_[cell] == cell;
               });
  }

  // The first free cell at or after `cell`; cells_.size() if there is none.
  // Shortens the way for the next search, as a union-find does.
  uint32_t NextFree(uint32_t cell) {
    uint32_t free = std::min<uint32_t>(cell, cells_.size());
    while (next_free_[free] != free) free = next_free_[free];
    while (cell < free) {
      cell = std::exchange(next_free_[cell], free);
    }
    return free;
  }

  void Occupy(uint32_t cell, uint32_t label) {
    cells_[cell].label = label;
    next_free_[cell] = cell + 1;
  }

  void Grow(size_t size) {
    if (size <= cells_.size()) return;
    cells_.resize(size, PieceTrie::kNowhere);
    base_taken_.resize(size, false);
    for (size_t i = next_free_.size(); i <= size; ++i) next_free_.push_back(i);
  }

  struct Child {
    unsigned char byte;
    size_t begin;
    size_t end;
  };

  const Tokens& tokens_;
  std::vector<PieceTrie::Cell> cells_;
  std::vector<bool> base_taken_;
  // The next cell that may be free, itself if it is; one past the end too.
  std::vector<uint32_t> next_free_;
  std::vector<Node> pending_;
  std::vector<Child> children_;  // of the node being placed, by byte
};

absl::StatusOr<PieceTrie> PieceTrie::Build(
    std::vector<std::pair<std::string, int32_t>> tokens) {
  std::sort(tokens.begin(), tokens.end());
  return PieceTrieBuilder(tokens).Build();
}

const PieceTrie::Cell& PieceTrie::Walk(absl::string_view prefix) const {
  const Cell* node = &root();
  for (const char byte : prefix) {
    node = Step(*node, static_cast<unsigned char>(byte));
    if (node == nullptr) return kNowhere;
  }
  return *node;
}

}  // namespace tern

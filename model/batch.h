// The sequences that one Forward pass runs together, without padding.

#ifndef TERN_MODEL_BATCH_H_
#define TERN_MODEL_BATCH_H_

#include <algorithm>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace tern {

// Concatenated sequences; sequence s has tokens [starts[s], starts[s + 1]).
struct Batch {
  std::vector<int32_t> token_ids;
  std::vector<int32_t> type_ids;
  std::vector<int32_t> starts{0};

  int tokens() const { return static_cast<int>(token_ids.size()); }
  int sequences() const { return static_cast<int>(starts.size()) - 1; }
  int length(int s) const { return starts[s + 1] - starts[s]; }
  // The sequence that token `row` belongs to.
  int SequenceOf(int row) const {
    return static_cast<int>(
        std::upper_bound(starts.begin(), starts.end(), row) - starts.begin() -
        1);
  }

  void Add(absl::Span<const int32_t> ids, absl::Span<const int32_t> types) {
    token_ids.insert(token_ids.end(), ids.begin(), ids.end());
    type_ids.insert(type_ids.end(), types.begin(), types.end());
    starts.push_back(tokens());
  }
  void Clear() {
    token_ids.clear();
    type_ids.clear();
    starts.assign(1, 0);
  }
};

}  // namespace tern

#endif  // TERN_MODEL_BATCH_H_

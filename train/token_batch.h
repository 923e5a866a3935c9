// One step's sequences as tensors, without padding.
//
// Rows (tokens) of all sequences lie one after the other, as in serving.
//
// Thread-compatible.

#ifndef TERN_TRAIN_TOKEN_BATCH_H_
#define TERN_TRAIN_TOKEN_BATCH_H_

#include <cstdint>
#include <vector>

#include "torch/types.h"

namespace tern {

struct TokenBatch {
  std::vector<int32_t> starts{0};  // sequence s has rows [starts[s],
                                   // starts[s + 1])
  int64_t longest = 0;             // tokens of the longest sequence
  torch::Tensor ids;               // [tokens] I64
  torch::Tensor type_ids;          // [tokens] I64
  torch::Tensor positions;         // [tokens] I64
  torch::Tensor padded_rows;  // [tokens] I64, s * longest + position: where a
                              // row stands among padded ones
  torch::Tensor first_rows;   // [sequences] I64, the rows of [CLS]
  // [sequences] I64, or F32 for regression; [sequences, 2] I64 for question
  // answering: the positions of the answer's first and last token.
  torch::Tensor labels;

  int64_t sequences() const { return static_cast<int64_t>(starts.size()) - 1; }
  int64_t tokens() const { return starts.back(); }
};

}  // namespace tern

#endif  // TERN_TRAIN_TOKEN_BATCH_H_

// Latent weights for ternary ones whose own are lost, so that a training can
// go on from a model that is served.
//
// Thread-safe: pure functions.

#ifndef TERN_TRAIN_LATENT_WEIGHTS_H_
#define TERN_TRAIN_LATENT_WEIGHTS_H_

#include "torch/types.h"
#include "train/bert_module.h"

namespace tern {

// `w`, each element moved no farther than TWN (kernels/ternarize.h) needs to
// make `t` of it: where t = 0 to within 0.95 delta, else to 1.05 delta and more
// on the side of t. delta is that of the result, found by turns.
//   w [n, k] F32
//   t [n, k] in {-1, 0, 1}, any dtype
//   per_row: each row has its own delta
torch::Tensor LatentWeights(const torch::Tensor& w, const torch::Tensor& t,
                            bool per_row);

// Does so to the ternary matrices of `student`, which were read from a ternary
// folder: their T stays, the rest is as close to `teacher` as it can be. The
// two have one shape.
void RecoverLatentWeights(const BertModule& teacher, BertModule& student);

}  // namespace tern

#endif  // TERN_TRAIN_LATENT_WEIGHTS_H_

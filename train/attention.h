// Self-attention of a batch: the padded float form, and the 8-bit form that
// ternary models are served with.
//
// One thread calls; heads are shared by libtorch's threads.

#ifndef TERN_TRAIN_ATTENTION_H_
#define TERN_TRAIN_ATTENTION_H_

#include "torch/types.h"
#include "train/simulated_quantization.h"
#include "train/token_batch.h"

namespace tern {

struct AttentionOutput {
  torch::Tensor context;  // [tokens, hidden]
  torch::Tensor scores;   // [sequences * heads, longest, longest], q k^T /
                          // sqrt(d); those of padding are zero
};

// q, k, v [tokens, hidden]. Drops probabilities with probability `dropout`. q,
// k, v and the probabilities are quantized as `activations` says, not per
// token.
AttentionOutput Attend(const torch::Tensor& q, const torch::Tensor& k,
                       const torch::Tensor& v, const TokenBatch& batch,
                       int64_t heads, double dropout,
                       ActivationScheme activations);

// The context is AttentionInt8's (kernels/attention.h), bit for bit; gradients
// pass its quantizers straight through.
AttentionOutput QuantizedAttend(const torch::Tensor& q, const torch::Tensor& k,
                                const torch::Tensor& v, const TokenBatch& batch,
                                int64_t heads);

}  // namespace tern

#endif  // TERN_TRAIN_ATTENTION_H_

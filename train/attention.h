// Self-attention of a batch, each head of each sequence by itself, without
// padding: in float, with simulated quantizations, and in the 8-bit form that
// ternary models are served with.
//
//   scores = q k^T / sqrt(d),  p = softmax(scores),  context = p v
//
// No pass keeps a matrix of scores unless asked to: the backward pass computes
// them again, some rows at a time, so that they stay in the cache.
//
// One thread calls; heads are shared by libtorch's threads.

#ifndef TERN_TRAIN_ATTENTION_H_
#define TERN_TRAIN_ATTENTION_H_

#include <cstdint>

#include "torch/types.h"
#include "train/simulated_quantization.h"
#include "train/token_batch.h"

namespace tern {

struct AttentionOptions {
  int64_t heads = 1;
  // Of q, k, v and the probabilities. kPerToken is what is served: the context
  // is AttentionInt8's (kernels/attention.h), bit for bit. Gradients pass all
  // quantizers straight through.
  ActivationScheme activations = ActivationScheme::kNone;
  double dropout = 0;  // of probabilities; none with kPerToken
  bool keep_scores = false;
};

struct AttentionOutput {
  torch::Tensor context;  // [tokens, hidden]
  // Where they are kept: of each sequence in turn [heads, length, length], one
  // after the other. Else without elements.
  torch::Tensor scores;
};

// q, k, v [tokens, hidden].
AttentionOutput Attend(const torch::Tensor& q, const torch::Tensor& k,
                       const torch::Tensor& v, const TokenBatch& batch,
                       const AttentionOptions& options);

}  // namespace tern

#endif  // TERN_TRAIN_ATTENTION_H_

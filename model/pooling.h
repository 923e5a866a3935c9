// From the hidden states of a sequence's tokens to its embedding.
//
// Sums run in one fixed order, so a sequence's embedding is the same to the bit
// whatever else is in the batch.
//
// Thread-safe: pure functions.

#ifndef TERN_MODEL_POOLING_H_
#define TERN_MODEL_POOLING_H_

#include "absl/types/span.h"
#include "model/config.h"

namespace tern {

// y[j] = sum_i x[i][j] / tokens (mean), x[0][j] (first token) or max_i x[i][j]
//   x [tokens, k], tokens >= 1, added up from first to last
//   y [k], aliases no input
void PoolTokens(Pooling pooling, const float* x, int tokens, int k, float* y);

// y[j] /= max(sqrt(sum_j y[j]^2), 1e-12), as sentence-transformers does; the
// sum in double, from first to last.
void NormalizeEmbedding(absl::Span<float> y);

}  // namespace tern

#endif  // TERN_MODEL_POOLING_H_

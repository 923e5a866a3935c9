// Dropout whose mask is computed, not stored: whether an element stays depends
// on a seed and its place alone. So backward passes draw it again, threads may
// share the rows as they like, and a resumed run drops the same.
//
// Thread-safe: pure functions, but for Dropout, which draws its seed from
// libtorch's default generator.

#ifndef TERN_TRAIN_DROPOUT_H_
#define TERN_TRAIN_DROPOUT_H_

#include <cstdint>

#include "torch/types.h"

namespace tern {

// factors[j] = 0 with `probability`, else 1 / (1 - probability), for element j
// of row `row` of the mask of `seed`; j < count.
void DropoutFactors(uint64_t seed, int64_t row, double probability,
                    int64_t count, float* factors);

// A new seed, from libtorch's default generator.
uint64_t DrawDropoutSeed();

// x [m, k] with each element dropped with `probability`, the others scaled so
// that the mean stays.
torch::Tensor Dropout(const torch::Tensor& x, double probability);

}  // namespace tern

#endif  // TERN_TRAIN_DROPOUT_H_

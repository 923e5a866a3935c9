// Matrix products of the trainer, by oneDNN.
//
// Not libtorch's own: Debian's libtorch takes whatever BLAS is installed, which
// may be the reference one, and rounds products of BF16 to BF16. Here products
// of BF16 are summed and returned in F32, so that those of small integers are
// exact.
//
// Thread-safe; each call uses all threads of at::get_num_threads().

#ifndef TERN_TRAIN_MATRIX_PRODUCT_H_
#define TERN_TRAIN_MATRIX_PRODUCT_H_

#include <cstdint>

#include "torch/types.h"

namespace tern {

// Whether oneDNN multiplies BF16 on this CPU (AVX512-BF16 or AMX).
bool CpuHasBFloat16Products();

// Whether it does so faster than F32: with AMX, and with AVX512-BF16 but on
// Intel, where that has half the speed (docs/training.md). Not timed: a run
// that is resumed has to choose as it did before.
bool BFloat16IsFaster();

// c = a b in F32.
//   a  [m, k]
//   b  [k, n], of a's dtype: F32 or BF16
// Transposed views are read as they are; other strides are copied first.
torch::Tensor MatrixProduct(const torch::Tensor& a, const torch::Tensor& b);

// Floats in memory, rows `stride` apart; read as its transpose where that is
// asked for.
struct Matrix {
  const float* data = nullptr;
  int64_t stride = 0;
  bool transposed = false;
};

// c = alpha a b + beta c; on the calling thread alone where at::parallel_for
// runs it.
//   a [m, k], b [k, n], c [m, n] with rows `c_stride` apart
struct GemmArgs {
  int64_t m = 0, n = 0, k = 0;
  float alpha = 1;
  float beta = 0;
  Matrix a, b;
  float* c = nullptr;
  int64_t c_stride = 0;
};
void Gemm(const GemmArgs& args);

}  // namespace tern

#endif  // TERN_TRAIN_MATRIX_PRODUCT_H_

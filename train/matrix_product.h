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

#include "torch/types.h"

namespace tern {

// Whether this CPU multiplies BF16 faster than F32 (AVX512-BF16 or AMX).
bool CpuHasBFloat16Products();

// c = a b in F32.
//   a  [m, k] or [g, m, k]
//   b  [k, n] or [g, k, n], of a's dtype: F32 or BF16
// Transposed views are read as they are; other strides are copied first.
torch::Tensor MatrixProduct(const torch::Tensor& a, const torch::Tensor& b);

}  // namespace tern

#endif  // TERN_TRAIN_MATRIX_PRODUCT_H_

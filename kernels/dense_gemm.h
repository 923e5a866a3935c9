// Linear layers in fp32 and int8 (W8A8), by oneDNN.
//
// The precisions that Tern is compared with, and the ones that ordinary Hugging
// Face folders run in. Weights are reordered once; primitives are cached by
// shape. A call runs on the calling thread alone: the engine splits products
// among threads itself, by columns, as it does for ternary ones.
//
// Thread-safe after construction.

#ifndef TERN_KERNELS_DENSE_GEMM_H_
#define TERN_KERNELS_DENSE_GEMM_H_

#include <memory>

#include "kernels/quantized_rows.h"

namespace tern {

// Columns are computed in panels of this many; a panel is the unit that threads
// share. Whatever the split, the bits are the same.
inline constexpr int kDensePanelColumns = 192;

// y[i][j] = sum_p x[i][p] w[j][p] + bias[j]
class DenseGemmFp32 {
 public:
  // w [n, k] row-major and bias [n] are copied.
  DenseGemmFp32(int n, int k, const float* w, const float* bias);
  ~DenseGemmFp32();

  int panels() const;
  // Computes columns [panel * kDensePanelColumns, ...) of y.
  // x [rows, k], y [rows, n]; rows are x_stride and y_stride floats apart.
  void Run(int panel, int rows, const float* x, int x_stride, float* y,
           int y_stride) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// y[i][j] = S_i s_j (sum_p q[i][p] w8[j][p] - Z_i column_sum[j]) + bias[j]
// w8 is w quantized symmetrically, one scale s_j per row of w: to [-127, 127]
// where the CPU has VNNI, else to [-63, 63], since u8 x s8 pairs saturate int16
// there.
class DenseGemmInt8 {
 public:
  DenseGemmInt8(int n, int k, const float* w, const float* bias);
  ~DenseGemmInt8();

  int panels() const;
  void Run(int panel, const QuantizedRows& x, float* y, int y_stride) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tern

#endif  // TERN_KERNELS_DENSE_GEMM_H_

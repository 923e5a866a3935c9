// The steps between matrix products that work on one row (token) at a time.
//
// Every sum runs in 16 lanes, lane l over the elements l, l + 16, l + 32, ...,
// missing ones counting as zero; then lanes l and l + 8 are added, l and l + 4,
// l and l + 2, l and l + 1. exp, erf and tanh are polynomials, or quotients of
// two, of fixed fused multiply-adds. Hence the same bits on every instruction
// set. Inputs are finite. All pointers may be unaligned; rows are `stride`
// elements apart. No byte past the end of a row of floats is touched.

#ifndef TERN_KERNELS_ROW_OPS_H_
#define TERN_KERNELS_ROW_OPS_H_

#include <cstdint>

#include "kernels/quantized_rows.h"

namespace tern {

// Quantizes rows as quantized_rows.h says.
struct QuantizeRowsArgs {
  int rows = 0;
  int k = 0;
  const float* x = nullptr;  // [rows, k]
  int x_stride = 0;
  QuantizedRows out;  // rows, k as here; bytes up to out.stride are zeroed
};

// y = LayerNorm(x + residual) over each row (Ba et al. 2016, eq. 4):
//   mean = sum / k, variance = sum (v - mean)^2 / k, in two passes,
//   y = (v - mean) / sqrt(variance + epsilon) * gamma + beta
// (times the rounded 1 / sqrt; the last two steps are one fused multiply-add)
// and, where out.values is set, y quantized. Without `normalize`, NoNorm (Sun
// et al. 2020, MobileBERT): y = v * gamma + beta.
struct AddLayerNormArgs {
  int rows = 0;
  int k = 0;
  const float* x = nullptr;  // [rows, k]
  int x_stride = 0;
  const float* residual = nullptr;  // [rows, k], or null for none
  int residual_stride = 0;
  const float* gamma = nullptr;  // [k]
  const float* beta = nullptr;   // [k]
  bool normalize = true;
  float epsilon = 1e-12f;
  float* y = nullptr;  // [rows, k]; may be x or residual
  int y_stride = 0;
  QuantizedRows out;
};

enum class Activation {
  kGelu,      // x/2 (1 + erf(x / sqrt 2))                          "gelu"
  kGeluTanh,  // x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))      "gelu_new"
  kRelu,      // max(x, 0)                                          "relu"
  kTanh,      // the pooler's
};

// x = activation(x) in place and, where out.values is set, x quantized.
struct ActivateArgs {
  Activation activation = Activation::kGelu;
  int rows = 0;
  int k = 0;
  float* x = nullptr;  // [rows, k]
  int x_stride = 0;
  QuantizedRows out;
};

}  // namespace tern

#endif  // TERN_KERNELS_ROW_OPS_H_

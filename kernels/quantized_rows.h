// A matrix of 8-bit activations, each row with its own scale and zero point.
//
// Asymmetric min-max quantization (TernaryBERT, Zhang et al. 2020, section 3.1,
// with the zero point rounded to an integer, so that zero is exact):
//   lo = min(0, min_p r[p]),  hi = max(0, max_p r[p])
//   S = (hi - lo) / 255,  or 1 where that is below 2^-126, the least normal
//                         float: where all r are 0 or as good as 0
//   Z = round(-lo u),  u = 1 / S rounded to float: dividing would cost as much
//                      as GELU does
//   q = clamp(round(r u) + Z, 0, 255),    r ~ S (q - Z)
// round is to nearest, ties to even; every step is in float.

#ifndef TERN_KERNELS_QUANTIZED_ROWS_H_
#define TERN_KERNELS_QUANTIZED_ROWS_H_

#include <cstdint>

namespace tern {

struct RowScale {
  float scale = 1.0f;      // S
  int32_t zero_point = 0;  // Z, in [0, 255]
};

// Views memory that its maker owns (usually a Workspace).
struct QuantizedRows {
  int rows = 0;  // m
  int k = 0;
  int stride = 0;  // bytes from row to row: at least PaddedDepth(k); the bytes
                   // between k and the stride are zero
  uint8_t* values = nullptr;   // [m, stride]
  RowScale* scales = nullptr;  // [m]
};

// Depth in bytes of a row of k values: variants read whole blocks of 64.
inline constexpr int PaddedDepth(int k) { return (k + 63) / 64 * 64; }

}  // namespace tern

#endif  // TERN_KERNELS_QUANTIZED_ROWS_H_

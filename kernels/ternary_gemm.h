// Matrix product with ternary weights and 8-bit activations (W2A8).
//
// The one operation that Tern exists for. Every Linear layer of a ternary model
// calls it with the quantized rows of a batch; variants for each instruction
// set lie beside this file as ternary_gemm_<isa>.cc.
//
// Thread-safe: the packed weights are constant, each call writes only its own
// columns of `y`.

#ifndef TERN_KERNELS_TERNARY_GEMM_H_
#define TERN_KERNELS_TERNARY_GEMM_H_

#include <cstdint>
#include <vector>

#include "kernels/aligned_buffer.h"
#include "kernels/quantized_rows.h"

namespace tern {

// Ternary weights as they stand in a model file: four codes per byte, lowest
// bits first, code = w + 1 (so 0, 1 or 2; 3 is invalid).
struct TernaryMatrix {
  int n = 0;                       // output features (rows)
  int k = 0;                       // input features
  const uint8_t* codes = nullptr;  // [n, ceil(k / 4)]
  float scale = 1.0f;              // alpha: W = alpha * T
};

// The same weights in the order in which one variant reads them.
struct PackedTernary {
  int n = 0;
  int k = 0;
  float scale = 1.0f;
  std::vector<int32_t> column_sums;  // [n]  sum_p T[j][p]
  AlignedBuffer<uint8_t> codes;      // layout private to the variant
};

struct TernaryGemmArgs {
  QuantizedRows x;                   // [m, k]
  const PackedTernary* w = nullptr;  // packed by the same variant
  const float* bias = nullptr;       // [n]
  float* y = nullptr;                // [m, n], rows `y_stride` floats apart
  int y_stride = 0;
  int first_column = 0;  // computes columns [first_column, last_column) of y:
  int last_column = 0;   // threads share one product by columns; multiples of
                         // kTernaryColumnBlock, or n
};

inline constexpr int kTernaryColumnBlock = 64;

}  // namespace tern

#endif  // TERN_KERNELS_TERNARY_GEMM_H_

// The specification of the ternary product: plainest loops, canonical codes.

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/ternary_gemm.h"
#include "kernels/variants_internal.h"

namespace tern::scalar {
namespace {

int WeightAt(const uint8_t* row_codes, int input) {
  return (row_codes[input / 4] >> (input % 4 * 2) & 3) - 1;
}

}  // namespace

PackedTernary PackTernary(const TernaryMatrix& w) {
  PackedTernary packed;
  packed.n = w.n;
  packed.k = w.k;
  packed.scale = w.scale;
  packed.column_sums.resize(w.n);
  const size_t row_bytes = (w.k + 3) / 4;
  packed.codes = AlignedBuffer<uint8_t>(w.n * row_bytes);
  std::copy_n(w.codes, packed.codes.size(), packed.codes.data());
  for (int j = 0; j < w.n; ++j) {
    for (int p = 0; p < w.k; ++p) {
      packed.column_sums[j] += WeightAt(w.codes + j * row_bytes, p);
    }
  }
  return packed;
}

void TernaryGemm(const TernaryKernelArgs& args) {
  const size_t row_bytes = (args.x.k + 3) / 4;
  for (int i = 0; i < args.x.rows; ++i) {
    const uint8_t* const q =
        args.x.values + static_cast<size_t>(i) * args.x.stride;
    const RowScale row = args.x.scales[i];
    float* const y = args.y + static_cast<size_t>(i) * args.y_stride;
    for (int j = args.first_column; j < args.last_column; ++j) {
      int32_t sum = 0;
      for (int p = 0; p < args.x.k; ++p) {
        sum += q[p] * WeightAt(args.codes + j * row_bytes, p);
      }
      sum -= row.zero_point * args.column_sums[j];
      y[j] = std::fma(static_cast<float>(sum), row.scale * args.alpha,
                      args.bias[j]);
    }
  }
}

}  // namespace tern::scalar

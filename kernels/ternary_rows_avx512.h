// What the ternary products in AVX-512 do for each row before and after.

#ifndef TERN_KERNELS_TERNARY_ROWS_AVX512_H_
#define TERN_KERNELS_TERNARY_ROWS_AVX512_H_

#include <cstdint>

#include "kernels/avx512_intrinsics.h"

namespace tern {
namespace {

inline constexpr int kLanes = 16;  // columns of a vector: int32 lanes

// sum_p q[p]; `bytes` is a multiple of 64.
inline int32_t SumRow(const uint8_t* q, int bytes) {
  const __m512i ones = _mm512_set1_epi8(1);
  __m512i sums = _mm512_setzero_si512();
  for (int p = 0; p < bytes; p += 64) {
    sums = _mm512_dpbusd_epi32(sums, _mm512_loadu_si512(q + p), ones);
  }
  int32_t lanes[kLanes];
  _mm512_storeu_si512(lanes, sums);
  int32_t sum = 0;
  for (const int32_t lane : lanes) sum += lane;
  return sum;
}

// y[row][column ...] of 16 columns from sum_p q[p] c[p], their products with
// codes; see variant.h for the formula. Columns past the last are left alone.
inline void StoreColumns(const TernaryKernelArgs& args, int row, int column,
                         __m512i sum, int32_t row_sum) {
  const int left = args.last_column - column;
  if (left <= 0) return;
  const __mmask16 mask =
      left >= kLanes ? 0xffff : static_cast<__mmask16>((1 << left) - 1);
  const RowScale scale = args.x.scales[row];
  float* const y = args.y + static_cast<size_t>(row) * args.y_stride + column;
  const __m512i column_sums =
      _mm512_maskz_loadu_epi32(mask, args.column_sums + column);
  const __m512 bias = _mm512_maskz_loadu_ps(mask, args.bias + column);
  sum = _mm512_sub_epi32(sum, _mm512_set1_epi32(row_sum));
  sum = _mm512_sub_epi32(
      sum,
      _mm512_mullo_epi32(column_sums, _mm512_set1_epi32(scale.zero_point)));
  _mm512_mask_storeu_ps(
      y, mask,
      _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum),
                      _mm512_set1_ps(scale.scale * args.alpha), bias));
}

}  // namespace
}  // namespace tern

#endif  // TERN_KERNELS_TERNARY_ROWS_AVX512_H_

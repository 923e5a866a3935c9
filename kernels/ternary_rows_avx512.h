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

// What 16 columns from `column` on add to y in each row; see variant.h for the
// formula. Columns past the last are masked out.
struct ColumnTerms {
  ColumnTerms(const TernaryKernelArgs& args, int column) {
    const int left = args.last_column - column;
    mask = left >= kLanes ? 0xffff
           : left > 0     ? static_cast<__mmask16>((1 << left) - 1)
                          : 0;
    column_sums = _mm512_maskz_loadu_epi32(mask, args.column_sums + column);
    bias = _mm512_maskz_loadu_ps(mask, args.bias + column);
  }

  __mmask16 mask;
  __m512i column_sums;
  __m512 bias;
};

// What a row adds in each of its columns.
struct RowTerms {
  RowTerms(RowScale row, float alpha, int32_t sum)
      : row_sum(_mm512_set1_epi32(sum)),
        zero_point(_mm512_set1_epi32(row.zero_point)),
        scale(_mm512_set1_ps(row.scale * alpha)) {}

  __m512i row_sum;  // sum_p q[p]
  __m512i zero_point;
  __m512 scale;
};

// y [16 columns] from sum_p q[p] c[p], their products with codes.
inline void StoreColumns(const ColumnTerms& columns, const RowTerms& row,
                         __m512i sum, float* y) {
  sum = _mm512_sub_epi32(sum, row.row_sum);
  sum = _mm512_sub_epi32(
      sum, _mm512_mullo_epi32(columns.column_sums, row.zero_point));
  _mm512_mask_storeu_ps(
      y, columns.mask,
      _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), row.scale, columns.bias));
}

// The same of one row and 16 columns by themselves. For sums in registers:
// terms that are kept beside those cost the VNNI product 7%.
inline void StoreColumns(const TernaryKernelArgs& args, int row, int column,
                         __m512i sum, int32_t row_sum) {
  if (column >= args.last_column) return;
  StoreColumns(ColumnTerms(args, column),
               RowTerms(args.x.scales[row], args.alpha, row_sum), sum,
               args.y + static_cast<size_t>(row) * args.y_stride + column);
}

}  // namespace
}  // namespace tern

#endif  // TERN_KERNELS_TERNARY_ROWS_AVX512_H_

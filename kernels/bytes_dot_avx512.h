// 8-bit values of attention as the instructions of AVX-512 and AMX want them,
// four to a word.

#ifndef TERN_KERNELS_BYTES_DOT_AVX512_H_
#define TERN_KERNELS_BYTES_DOT_AVX512_H_

#include <cstdint>

#include "kernels/lanes_avx512.h"

namespace tern {
namespace {

// vpdpbusd and tdpbusd multiply unsigned by signed bytes, so the right operand
// is stored less 128. With l, r the 8-bit values, Z, Y their zero points:
//   sum (l - Z)(r - Y) = sum l (r - 128) + (128 - Y) sum l - Z sum (r - Y)
struct BytesDot {
  using Word = int32_t;
  using Sum = IntLanes;
  static constexpr int kGroup = 4;
  static constexpr int32_t kRightOffset = 128;

  // right_offset = 128 - Y, right_sum = sum (r - Y)
  static IntLanes Correction(int32_t left_sum, int32_t left_zero,
                             IntLanes right_offset, IntLanes right_sum) {
    return {_mm512_sub_epi32(
        _mm512_mullo_epi32(_mm512_set1_epi32(left_sum), right_offset.value),
        _mm512_mullo_epi32(_mm512_set1_epi32(left_zero), right_sum.value))};
  }
  static void StoreLeft(int32_t* row, int p, IntLanes x, int32_t zero) {
    StoreBytes(reinterpret_cast<uint8_t*>(row) + p, x);
  }
  static void StoreRight(int32_t* row, int p, IntLanes x, int32_t zero) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(row + p / kGroup),
                     _mm_xor_si128(NarrowToBytes(x), _mm_set1_epi8(-128)));
  }
  static IntLanes Pack(const IntLanes (&x)[kGroup], int32_t zero) {
    const __m512i low =
        _mm512_or_si512(x[0].value, _mm512_slli_epi32(x[1].value, 8));
    const __m512i high = _mm512_or_si512(_mm512_slli_epi32(x[2].value, 16),
                                         _mm512_slli_epi32(x[3].value, 24));
    return {
        _mm512_xor_si512(_mm512_or_si512(low, high), _mm512_set1_epi8(-128))};
  }
};

}  // namespace
}  // namespace tern

#endif  // TERN_KERNELS_BYTES_DOT_AVX512_H_

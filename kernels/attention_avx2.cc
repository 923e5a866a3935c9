// Attention in AVX2: vpmaddwd on values less their zero points, two to a word.

#include "kernels/lanes_avx2.h"
#include "kernels/variants_internal.h"

namespace tern {
namespace avx2 {
namespace {

// Differences are at most 255, so int16 holds them and int32 a pair's products.
struct IntegerDot {
  using Word = int32_t;
  using Sum = IntLanes;
  static constexpr int kGroup = 2;
  static constexpr int kTileRows = 4;
  static constexpr int kWordStep = 1;
  static constexpr int32_t kRightOffset = 0;

  static IntLanes Correction(int32_t left_sum, int32_t left_zero,
                             IntLanes right_offset, IntLanes right_sum) {
    return BroadcastInt(0);
  }
  static IntLanes LoadRight(const int32_t* p) { return LoadInt(p); }
  static IntLanes Accumulate(IntLanes sum, int32_t left, IntLanes right) {
    const __m256i pair = _mm256_set1_epi32(left);
    return {_mm256_add_epi32(sum.low, _mm256_madd_epi16(pair, right.low)),
            _mm256_add_epi32(sum.high, _mm256_madd_epi16(pair, right.high))};
  }
  static void StoreLeft(int32_t* row, int p, IntLanes x, int32_t zero) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(row + p / kGroup),
                        NarrowToInt16(SubInt(x, BroadcastInt(zero))));
  }
  static void StoreRight(int32_t* row, int p, IntLanes x, int32_t zero) {
    StoreLeft(row, p, x, zero);
  }
  static IntLanes Pack(const IntLanes (&x)[kGroup], int32_t zero) {
    const IntLanes first = SubInt(x[0], BroadcastInt(zero));
    const IntLanes second = SubInt(x[1], BroadcastInt(zero));
    return {
        _mm256_blend_epi16(first.low, _mm256_slli_epi32(second.low, 16), 0xaa),
        _mm256_blend_epi16(first.high, _mm256_slli_epi32(second.high, 16),
                           0xaa)};
  }
};

#include "kernels/row_lanes.inc"
// Uses the former.
#include "kernels/attention.inc"

}  // namespace

void AttentionFp32(const AttentionArgs& args) { Fp32Head(args).Run(); }

void AttentionInt8(const AttentionArgs& args) { Int8Head(args).Run(); }

}  // namespace avx2

}  // namespace tern

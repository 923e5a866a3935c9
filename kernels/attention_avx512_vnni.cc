// Attention in AVX-512: vpdpbusd on 8-bit values, four to a word.

#include "kernels/bytes_dot_avx512.h"
#include "kernels/lanes_avx512.h"
#include "kernels/variants_internal.h"

namespace tern {
namespace TERN_AVX512_NAMESPACE {
namespace {

struct IntegerDot : BytesDot {
  static constexpr int kTileRows = 8;
  static constexpr int kWordStep = 1;

  static IntLanes LoadRight(const int32_t* p) { return LoadInt(p); }
  static IntLanes Accumulate(IntLanes sum, int32_t left, IntLanes right) {
    return {
        _mm512_dpbusd_epi32(sum.value, _mm512_set1_epi32(left), right.value)};
  }
};

#include "kernels/row_lanes.inc"
// Uses the former.
#include "kernels/attention.inc"

}  // namespace

void AttentionFp32(const AttentionArgs& args) { Fp32Head(args).Run(); }

void AttentionInt8(const AttentionArgs& args) { Int8Head(args).Run(); }

}  // namespace TERN_AVX512_NAMESPACE

}  // namespace tern

// lanes_scalar.h in AVX2 and FMA: two registers of eight.

#ifndef TERN_KERNELS_LANES_AVX2_H_
#define TERN_KERNELS_LANES_AVX2_H_

#include <immintrin.h>

#include <cstdint>

#include "kernels/lanes_half.h"

namespace tern {
namespace {

inline constexpr int kLanes = 16;

struct Lanes {
  __m256 low, high;
};

struct IntLanes {
  __m256i low, high;
};

// All bits set in the first `count` lanes.
inline IntLanes FirstMask(int count) {
  const __m256i bound = _mm256_set1_epi32(count);
  return {_mm256_cmpgt_epi32(bound, _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)),
          _mm256_cmpgt_epi32(bound,
                             _mm256_setr_epi32(8, 9, 10, 11, 12, 13, 14, 15))};
}

inline Lanes Broadcast(float x) {
  return {_mm256_set1_ps(x), _mm256_set1_ps(x)};
}
inline Lanes Load(const float* p) {
  return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)};
}
inline Lanes LoadFirst(const float* p, int count) {
  const IntLanes mask = FirstMask(count);
  return {_mm256_maskload_ps(p, mask.low),
          _mm256_maskload_ps(p + 8, mask.high)};
}
inline void Store(float* p, Lanes x) {
  _mm256_storeu_ps(p, x.low);
  _mm256_storeu_ps(p + 8, x.high);
}
inline void StoreFirst(float* p, Lanes x, int count) {
  const IntLanes mask = FirstMask(count);
  _mm256_maskstore_ps(p, mask.low, x.low);
  _mm256_maskstore_ps(p + 8, mask.high, x.high);
}

inline Lanes Add(Lanes a, Lanes b) {
  return {_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)};
}
inline Lanes Sub(Lanes a, Lanes b) {
  return {_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high)};
}
inline Lanes Mul(Lanes a, Lanes b) {
  return {_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)};
}
inline Lanes Div(Lanes a, Lanes b) {
  return {_mm256_div_ps(a.low, b.low), _mm256_div_ps(a.high, b.high)};
}
inline Lanes MulAdd(Lanes a, Lanes b, Lanes c) {
  return {_mm256_fmadd_ps(a.low, b.low, c.low),
          _mm256_fmadd_ps(a.high, b.high, c.high)};
}
inline Lanes Min(Lanes a, Lanes b) {
  return {_mm256_min_ps(a.low, b.low), _mm256_min_ps(a.high, b.high)};
}
inline Lanes Max(Lanes a, Lanes b) {
  return {_mm256_max_ps(a.low, b.low), _mm256_max_ps(a.high, b.high)};
}
inline Lanes ZeroWhereLess(Lanes x, Lanes a, Lanes b) {
  return {_mm256_andnot_ps(_mm256_cmp_ps(a.low, b.low, _CMP_LT_OQ), x.low),
          _mm256_andnot_ps(_mm256_cmp_ps(a.high, b.high, _CMP_LT_OQ), x.high)};
}
inline Lanes KeepFirst(Lanes x, int count, float fill) {
  const IntLanes mask = FirstMask(count);
  const __m256 rest = _mm256_set1_ps(fill);
  return {_mm256_blendv_ps(rest, x.low, _mm256_castsi256_ps(mask.low)),
          _mm256_blendv_ps(rest, x.high, _mm256_castsi256_ps(mask.high))};
}

inline IntLanes RoundToInt(Lanes x) {
  return {_mm256_cvtps_epi32(x.low), _mm256_cvtps_epi32(x.high)};
}
inline int32_t RoundToInt(float x) { return _mm_cvtss_si32(_mm_set_ss(x)); }
inline float SquareRoot(float x) {
  return _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(x)));
}
inline Lanes ToFloat(IntLanes x) {
  return {_mm256_cvtepi32_ps(x.low), _mm256_cvtepi32_ps(x.high)};
}
inline Lanes PowerOfTwo(IntLanes n) {
  const __m256i bias = _mm256_set1_epi32(127);
  return {
      _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n.low, bias), 23)),
      _mm256_castsi256_ps(
          _mm256_slli_epi32(_mm256_add_epi32(n.high, bias), 23))};
}

inline IntLanes BroadcastInt(int32_t x) {
  return {_mm256_set1_epi32(x), _mm256_set1_epi32(x)};
}
inline IntLanes LoadInt(const int32_t* p) {
  const __m256i* const q = reinterpret_cast<const __m256i*>(p);
  return {_mm256_loadu_si256(q), _mm256_loadu_si256(q + 1)};
}
inline void StoreInt(int32_t* p, IntLanes x) {
  __m256i* const q = reinterpret_cast<__m256i*>(p);
  _mm256_storeu_si256(q, x.low);
  _mm256_storeu_si256(q + 1, x.high);
}
inline IntLanes AddInt(IntLanes a, IntLanes b) {
  return {_mm256_add_epi32(a.low, b.low), _mm256_add_epi32(a.high, b.high)};
}
inline IntLanes SubInt(IntLanes a, IntLanes b) {
  return {_mm256_sub_epi32(a.low, b.low), _mm256_sub_epi32(a.high, b.high)};
}
inline IntLanes MinInt(IntLanes a, IntLanes b) {
  return {_mm256_min_epi32(a.low, b.low), _mm256_min_epi32(a.high, b.high)};
}
inline IntLanes KeepFirstInt(IntLanes x, int count) {
  const IntLanes mask = FirstMask(count);
  return {_mm256_and_si256(x.low, mask.low),
          _mm256_and_si256(x.high, mask.high)};
}
// As int16, in order; values fit.
inline __m256i NarrowToInt16(IntLanes x) {
  return _mm256_permute4x64_epi64(_mm256_packs_epi32(x.low, x.high), 0xd8);
}
inline void StoreBytes(uint8_t* p, IntLanes x) {
  const __m256i words = NarrowToInt16(x);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p),
                   _mm_packus_epi16(_mm256_castsi256_si128(words),
                                    _mm256_extracti128_si256(words, 1)));
}

inline float ReduceAdd(Lanes x) {
  return ReduceAdd8(_mm256_add_ps(x.low, x.high));
}
inline float ReduceMin(Lanes x) {
  return ReduceMin8(_mm256_min_ps(x.low, x.high));
}
inline float ReduceMax(Lanes x) {
  return ReduceMax8(_mm256_max_ps(x.low, x.high));
}
inline int32_t ReduceAddInt(IntLanes x) {
  return ReduceAddInt8(_mm256_add_epi32(x.low, x.high));
}

}  // namespace
}  // namespace tern

#endif  // TERN_KERNELS_LANES_AVX2_H_

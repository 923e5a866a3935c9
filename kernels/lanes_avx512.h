// lanes_scalar.h in AVX-512: one register of sixteen.

#ifndef TERN_KERNELS_LANES_AVX512_H_
#define TERN_KERNELS_LANES_AVX512_H_

#include <cstdint>

#include "kernels/avx512_intrinsics.h"
#include "kernels/lanes_half.h"

namespace tern {
namespace {

inline constexpr int kLanes = 16;

struct Lanes {
  __m512 value;
};

struct IntLanes {
  __m512i value;
};

inline __mmask16 FirstMask(int count) {
  return static_cast<__mmask16>((1u << count) - 1);  // count < 16
}

inline __m256 LowHalf(__m512 x) { return _mm512_castps512_ps256(x); }
inline __m256 HighHalf(__m512 x) {
  return _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(x), 1));
}
inline __m256i LowHalf(__m512i x) { return _mm512_castsi512_si256(x); }
inline __m256i HighHalf(__m512i x) { return _mm512_extracti64x4_epi64(x, 1); }

inline Lanes Broadcast(float x) { return {_mm512_set1_ps(x)}; }
inline Lanes Load(const float* p) { return {_mm512_loadu_ps(p)}; }
inline Lanes LoadFirst(const float* p, int count) {
#ifdef TERN_EMULATE
  float first[kLanes] = {};
  for (int l = 0; l < count; ++l) first[l] = p[l];
  return Load(first);
#else
  return {_mm512_maskz_loadu_ps(FirstMask(count), p)};
#endif
}
inline void Store(float* p, Lanes x) { _mm512_storeu_ps(p, x.value); }
inline void StoreFirst(float* p, Lanes x, int count) {
#ifdef TERN_EMULATE
  float all[kLanes];
  Store(all, x);
  for (int l = 0; l < count; ++l) p[l] = all[l];
#else
  _mm512_mask_storeu_ps(p, FirstMask(count), x.value);
#endif
}

inline Lanes Add(Lanes a, Lanes b) { return {_mm512_add_ps(a.value, b.value)}; }
inline Lanes Sub(Lanes a, Lanes b) { return {_mm512_sub_ps(a.value, b.value)}; }
inline Lanes Mul(Lanes a, Lanes b) { return {_mm512_mul_ps(a.value, b.value)}; }
inline Lanes Div(Lanes a, Lanes b) { return {_mm512_div_ps(a.value, b.value)}; }
inline Lanes MulAdd(Lanes a, Lanes b, Lanes c) {
  return {_mm512_fmadd_ps(a.value, b.value, c.value)};
}
inline Lanes Min(Lanes a, Lanes b) { return {_mm512_min_ps(a.value, b.value)}; }
inline Lanes Max(Lanes a, Lanes b) { return {_mm512_max_ps(a.value, b.value)}; }
inline Lanes ZeroWhereLess(Lanes x, Lanes a, Lanes b) {
  const __mmask16 less = _mm512_cmp_ps_mask(a.value, b.value, _CMP_LT_OQ);
  return {_mm512_mask_mov_ps(x.value, less, _mm512_setzero_ps())};
}
inline Lanes KeepFirst(Lanes x, int count, float fill) {
  return {_mm512_mask_mov_ps(_mm512_set1_ps(fill), FirstMask(count), x.value)};
}

// SIMDe lacks the conversions of 16 lanes; emulation takes AVX2's, twice.
#ifdef TERN_EMULATE
inline IntLanes RoundToInt(Lanes x) {
  return {_mm512_inserti64x4(
      _mm512_castsi256_si512(_mm256_cvtps_epi32(LowHalf(x.value))),
      _mm256_cvtps_epi32(HighHalf(x.value)), 1)};
}
inline Lanes ToFloat(IntLanes x) {
  return {_mm512_castpd_ps(_mm512_insertf64x4(
      _mm512_castps_pd(
          _mm512_castps256_ps512(_mm256_cvtepi32_ps(LowHalf(x.value)))),
      _mm256_castps_pd(_mm256_cvtepi32_ps(HighHalf(x.value))), 1))};
}
inline __m128i NarrowToBytes(IntLanes x) {
  const __m128i flip = _mm_set1_epi8(-128);
  return _mm_xor_si128(
      _mm512_cvtsepi32_epi8(_mm512_add_epi32(x.value, _mm512_set1_epi32(-128))),
      flip);
}
#else
inline IntLanes RoundToInt(Lanes x) { return {_mm512_cvtps_epi32(x.value)}; }
inline Lanes ToFloat(IntLanes x) { return {_mm512_cvtepi32_ps(x.value)}; }
inline __m128i NarrowToBytes(IntLanes x) {
  return _mm512_cvtepi32_epi8(x.value);
}
#endif

inline int32_t RoundToInt(float x) { return _mm_cvtss_si32(_mm_set_ss(x)); }
inline float SquareRoot(float x) {
  return _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(x)));
}
inline Lanes PowerOfTwo(IntLanes n) {
  return {_mm512_castsi512_ps(_mm512_slli_epi32(
      _mm512_add_epi32(n.value, _mm512_set1_epi32(127)), 23))};
}

inline IntLanes BroadcastInt(int32_t x) { return {_mm512_set1_epi32(x)}; }
inline IntLanes LoadInt(const int32_t* p) { return {_mm512_loadu_si512(p)}; }
inline void StoreInt(int32_t* p, IntLanes x) {
  _mm512_storeu_si512(p, x.value);
}
inline IntLanes AddInt(IntLanes a, IntLanes b) {
  return {_mm512_add_epi32(a.value, b.value)};
}
inline IntLanes SubInt(IntLanes a, IntLanes b) {
  return {_mm512_sub_epi32(a.value, b.value)};
}
inline IntLanes MinInt(IntLanes a, IntLanes b) {
  return {_mm512_min_epi32(a.value, b.value)};
}
inline IntLanes KeepFirstInt(IntLanes x, int count) {
  return {
      _mm512_mask_mov_epi32(_mm512_setzero_si512(), FirstMask(count), x.value)};
}
inline void StoreBytes(uint8_t* p, IntLanes x) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), NarrowToBytes(x));
}

inline float ReduceAdd(Lanes x) {
  return ReduceAdd8(_mm256_add_ps(LowHalf(x.value), HighHalf(x.value)));
}
inline float ReduceMin(Lanes x) {
  return ReduceMin8(_mm256_min_ps(LowHalf(x.value), HighHalf(x.value)));
}
inline float ReduceMax(Lanes x) {
  return ReduceMax8(_mm256_max_ps(LowHalf(x.value), HighHalf(x.value)));
}
inline int32_t ReduceAddInt(IntLanes x) {
  return ReduceAddInt8(_mm256_add_epi32(LowHalf(x.value), HighHalf(x.value)));
}

}  // namespace
}  // namespace tern

#endif  // TERN_KERNELS_LANES_AVX512_H_

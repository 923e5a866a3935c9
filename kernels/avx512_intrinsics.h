// AVX-512 intrinsics for the avx512_vnni files: the compiler's or, where
// TERN_EMULATE is set, SIMDe's, which run on any machine with AVX2 and FMA.
//
// Tests build the avx512_vnni files a second time with TERN_EMULATE, hence
// those files put their functions in namespace TERN_AVX512_NAMESPACE.

#ifndef TERN_KERNELS_AVX512_INTRINSICS_H_
#define TERN_KERNELS_AVX512_INTRINSICS_H_

#ifdef TERN_EMULATE
#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>
#include <simde/x86/fma.h>

#include "kernels/variants_internal.h"

// What bookworm's SIMDe 0.7.4 lacks.
namespace tern_emulated {
static inline __m512 cvtepi32_ps(__m512i v) {
  int32_t from[16];
  float to[16];
  _mm512_storeu_si512(from, v);
  for (int l = 0; l < 16; ++l) to[l] = static_cast<float>(from[l]);
  return _mm512_loadu_ps(to);
}
static inline __m512i maskz_loadu_epi32(__mmask16 mask, const void* memory) {
  int32_t lanes[16] = {};
  for (int l = 0; l < 16; ++l) {
    if (mask >> l & 1) {
      __builtin_memcpy(&lanes[l], static_cast<const char*>(memory) + 4 * l, 4);
    }
  }
  return _mm512_loadu_si512(lanes);
}
static inline __m512 maskz_loadu_ps(__mmask16 mask, const void* memory) {
  return _mm512_castsi512_ps(maskz_loadu_epi32(mask, memory));
}
static inline void mask_storeu_ps(void* memory, __mmask16 mask, __m512 v) {
  float lanes[16];
  _mm512_storeu_ps(lanes, v);
  for (int l = 0; l < 16; ++l) {
    if (mask >> l & 1) {
      __builtin_memcpy(static_cast<char*>(memory) + 4 * l, &lanes[l], 4);
    }
  }
}
}  // namespace tern_emulated
#define _mm512_cvtepi32_ps tern_emulated::cvtepi32_ps
#define _mm512_maskz_loadu_epi32 tern_emulated::maskz_loadu_epi32
#define _mm512_maskz_loadu_ps tern_emulated::maskz_loadu_ps
#define _mm512_mask_storeu_ps tern_emulated::mask_storeu_ps

#define TERN_AVX512_NAMESPACE avx512_vnni_emulated
namespace tern {
TERN_DECLARE_TERNARY_GEMM(avx512_vnni_emulated)
TERN_DECLARE_ATTENTION_INT8(avx512_vnni_emulated)
TERN_DECLARE_ROW_KERNELS(avx512_vnni_emulated)
}  // namespace tern
#else
#include <immintrin.h>

#include "kernels/variants_internal.h"
#define TERN_AVX512_NAMESPACE avx512_vnni
#endif

#endif  // TERN_KERNELS_AVX512_INTRINSICS_H_

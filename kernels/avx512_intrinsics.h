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
#define TERN_AVX512_NAMESPACE avx512_vnni_emulated
namespace tern {
TERN_DECLARE_KERNELS(avx512_vnni_emulated)
}
#else
#include <immintrin.h>

#include "kernels/variants_internal.h"
#define TERN_AVX512_NAMESPACE avx512_vnni
#endif

#endif  // TERN_KERNELS_AVX512_INTRINSICS_H_

// What each variant implements; kernels/variant.cc makes the tables of these.
//
// The namespaces that kernels.inc names have these functions.
// Files built with ISA flags include this header, hence only plain structs are
// visible here: an inline function of the standard library compiled with AVX
// flags could be linked into the baseline path.

#ifndef TERN_KERNELS_VARIANTS_INTERNAL_H_
#define TERN_KERNELS_VARIANTS_INTERNAL_H_

#include <cstdint>

#include "kernels/attention.h"
#include "kernels/quantized_rows.h"
#include "kernels/row_ops.h"

namespace tern {

struct TernaryMatrix;  // ternary_gemm.h
struct PackedTernary;  // ternary_gemm.h

// TernaryGemmArgs with the packed weights as plain pointers.
struct TernaryKernelArgs {
  QuantizedRows x;                       // [m, k]
  const uint8_t* codes = nullptr;        // as the variant's PackTernary says
  const int32_t* column_sums = nullptr;  // [n]
  float alpha = 1.0f;
  const float* bias = nullptr;  // [n]
  float* y = nullptr;           // [m, n], rows `y_stride` floats apart
  int y_stride = 0;
  int n = 0;
  int first_column = 0;
  int last_column = 0;
};

#define TERN_DECLARE_TERNARY_GEMM(isa)             \
  namespace isa {                                  \
  PackedTernary PackTernary(const TernaryMatrix&); \
  void TernaryGemm(const TernaryKernelArgs& args); \
  }

#define TERN_DECLARE_ATTENTION_INT8(isa)         \
  namespace isa {                                \
  void AttentionInt8(const AttentionArgs& args); \
  }

#define TERN_DECLARE_ROW_KERNELS(isa)              \
  namespace isa {                                  \
  void QuantizeRows(const QuantizeRowsArgs& args); \
  void AddLayerNorm(const AddLayerNormArgs& args); \
  void Activate(const ActivateArgs& args);         \
  void AttentionFp32(const AttentionArgs& args);   \
  }

#define TERN_VARIANT(isa, row_isa) \
  TERN_DECLARE_TERNARY_GEMM(isa)   \
  TERN_DECLARE_ATTENTION_INT8(isa) \
  TERN_DECLARE_ROW_KERNELS(row_isa)
#include "kernels/kernels.inc"
#undef TERN_VARIANT

}  // namespace tern

#endif  // TERN_KERNELS_VARIANTS_INTERNAL_H_

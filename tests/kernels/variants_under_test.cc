#include "tests/kernels/variants_under_test.h"

#include "kernels/variants_internal.h"

namespace tern {

TERN_DECLARE_TERNARY_GEMM(amx_emulated)
TERN_DECLARE_TERNARY_GEMM(avx512_vnni_emulated)
TERN_DECLARE_ATTENTION_INT8(amx_emulated)
TERN_DECLARE_ATTENTION_INT8(avx512_vnni_emulated)
TERN_DECLARE_ROW_KERNELS(avx512_vnni_emulated)

namespace {

template <void (*kKernel)(const TernaryKernelArgs&)>
void RunTernaryGemm(const TernaryGemmArgs& args) {
  kKernel({.x = args.x,
           .codes = args.w->codes.data(),
           .column_sums = args.w->column_sums.data(),
           .alpha = args.w->scale,
           .bias = args.bias,
           .y = args.y,
           .y_stride = args.y_stride,
           .n = args.w->n,
           .first_column = args.first_column,
           .last_column = args.last_column});
}

bool SupportsEmulation() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
         __builtin_cpu_supports("bmi2");
}

// Packing is baseline code, the same for the real variants.
constexpr Variant Emulated(const char* name,
                           PackedTernary (*pack)(const TernaryMatrix&),
                           void (*ternary_gemm)(const TernaryGemmArgs&),
                           void (*attention_int8)(const AttentionArgs&)) {
  return {
      .name = name,
      .supported = SupportsEmulation,
      .pack_ternary = pack,
      .ternary_gemm = ternary_gemm,
      .quantize_rows = avx512_vnni_emulated::QuantizeRows,
      .add_layer_norm = avx512_vnni_emulated::AddLayerNorm,
      .activate = avx512_vnni_emulated::Activate,
      .attention_int8 = attention_int8,
      .attention_fp32 = avx512_vnni_emulated::AttentionFp32,
  };
}

constexpr Variant kEmulated[] = {
    Emulated("amx_emulated", amx::PackTernary,
             RunTernaryGemm<amx_emulated::TernaryGemm>,
             amx_emulated::AttentionInt8),
    Emulated("avx512_vnni_emulated", avx512_vnni::PackTernary,
             RunTernaryGemm<avx512_vnni_emulated::TernaryGemm>,
             avx512_vnni_emulated::AttentionInt8),
};

}  // namespace

std::vector<const Variant*> VariantsUnderTest() {
  std::vector<const Variant*> variants;
  for (const Variant* variant : AllVariants()) {
    if (variant->supported()) variants.push_back(variant);
  }
  for (const Variant& variant : kEmulated) {
    if (variant.supported()) variants.push_back(&variant);
  }
  return variants;
}

const Variant& ScalarVariant() { return *AllVariants().back(); }

}  // namespace tern

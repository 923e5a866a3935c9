#include "tests/kernels/variants_under_test.h"

#include "kernels/variants_internal.h"

namespace tern {

TERN_DECLARE_KERNELS(avx512_vnni_emulated)

namespace {

void EmulatedTernaryGemm(const TernaryGemmArgs& args) {
  avx512_vnni_emulated::TernaryGemm({.x = args.x,
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

// Packing is baseline code, the same for the real variant.
constexpr Variant kEmulated = {
    .name = "avx512_vnni_emulated",
    .supported = SupportsEmulation,
    .pack_ternary = avx512_vnni::PackTernary,
    .ternary_gemm = EmulatedTernaryGemm,
    .quantize_rows = avx512_vnni_emulated::QuantizeRows,
    .add_layer_norm = avx512_vnni_emulated::AddLayerNorm,
    .activate = avx512_vnni_emulated::Activate,
    .attention_int8 = avx512_vnni_emulated::AttentionInt8,
    .attention_fp32 = avx512_vnni_emulated::AttentionFp32,
};

}  // namespace

std::vector<const Variant*> VariantsUnderTest() {
  std::vector<const Variant*> variants;
  for (const Variant* variant : AllVariants()) {
    if (variant->supported()) variants.push_back(variant);
  }
  if (kEmulated.supported()) variants.push_back(&kEmulated);
  return variants;
}

const Variant& ScalarVariant() { return *AllVariants().back(); }

}  // namespace tern

#include "kernels/variant.h"

#include <cstdlib>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "kernels/variants_internal.h"

namespace tern {
namespace {

// __builtin_cpu_supports also asks whether the operating system saves the
// registers.
bool Supports_avx512_vnni() {
  return __builtin_cpu_supports("avx512f") &&
         __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("fma");
}

bool Supports_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
         __builtin_cpu_supports("bmi2");
}

bool Supports_scalar() { return true; }

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

#define TERN_VARIANT(isa)                               \
  constexpr Variant kVariant_##isa = {                  \
      .name = #isa,                                     \
      .supported = Supports_##isa,                      \
      .pack_ternary = isa::PackTernary,                 \
      .ternary_gemm = RunTernaryGemm<isa::TernaryGemm>, \
      .quantize_rows = isa::QuantizeRows,               \
      .add_layer_norm = isa::AddLayerNorm,              \
      .activate = isa::Activate,                        \
      .attention_int8 = isa::AttentionInt8,             \
      .attention_fp32 = isa::AttentionFp32,             \
  };
#include "kernels/kernels.inc"
#undef TERN_VARIANT

#define TERN_VARIANT(isa) &kVariant_##isa,
constexpr const Variant* kVariants[] = {
#include "kernels/kernels.inc"
};
#undef TERN_VARIANT

std::string ListVariants() {
  return absl::StrJoin(
      AllVariants(), ", ", [](std::string* out, const Variant* variant) {
        absl::StrAppend(out, variant->name,
                        variant->supported() ? "" : " (not on this machine)");
      });
}

}  // namespace

absl::Span<const Variant* const> AllVariants() { return kVariants; }

absl::StatusOr<const Variant*> ChooseVariant(absl::string_view name) {
  if (name.empty()) {
    const char* const forced = std::getenv("TERN_FORCE_VARIANT");
    if (forced != nullptr) name = forced;
  }
  for (const Variant* variant : kVariants) {
    if (name.empty() && variant->supported()) return variant;
    if (name != variant->name) continue;
    if (variant->supported()) return variant;
    return absl::FailedPreconditionError(
        absl::StrCat("kernel variant '", name,
                     "' needs instructions that this machine lacks; variants: ",
                     ListVariants()));
  }
  return absl::NotFoundError(absl::StrCat("unknown kernel variant '", name,
                                          "'; variants: ", ListVariants()));
}

}  // namespace tern

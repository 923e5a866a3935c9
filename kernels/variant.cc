#include "kernels/variant.h"

#include <asm/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

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

// Linux saves the tile registers only for processes that have asked for them
// (Documentation/arch/x86/xstate.rst).
bool TilesAreGranted() {
  constexpr int kTileData = 18;  // XFEATURE_XTILEDATA
  static const bool granted =
      syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, kTileData) == 0;
  return granted;
}

bool Supports_amx() {
  return Supports_avx512_vnni() && __builtin_cpu_supports("amx-tile") &&
         __builtin_cpu_supports("amx-int8") && __builtin_cpu_supports("gfni") &&
         TilesAreGranted();
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

#define TERN_VARIANT(isa, row_isa)                      \
  constexpr Variant kVariant_##isa = {                  \
      .name = #isa,                                     \
      .supported = Supports_##isa,                      \
      .pack_ternary = isa::PackTernary,                 \
      .ternary_gemm = RunTernaryGemm<isa::TernaryGemm>, \
      .quantize_rows = row_isa::QuantizeRows,           \
      .add_layer_norm = row_isa::AddLayerNorm,          \
      .activate = row_isa::Activate,                    \
      .attention_int8 = isa::AttentionInt8,             \
      .attention_fp32 = row_isa::AttentionFp32,         \
  };
#include "kernels/kernels.inc"
#undef TERN_VARIANT

#define TERN_VARIANT(isa, row_isa) &kVariant_##isa,
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

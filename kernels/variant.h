// The kernels of one instruction set, and the choice among them.
//
// kernels.inc lists the variants, best first. Each is one table of functions;
// the engine takes a table when it loads a model and calls nothing else. All
// variants give the same bits: integer sums are exact, and every float step is
// taken in the order that row_ops.h and attention.h fix, fused multiply-adds
// included.
//
// Thread-safe.

#ifndef TERN_KERNELS_VARIANT_H_
#define TERN_KERNELS_VARIANT_H_

#include <cstddef>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "kernels/attention.h"
#include "kernels/row_ops.h"
#include "kernels/ternary_gemm.h"

namespace tern {

struct Variant {
  const char* name;     // "scalar", "avx2", ...
  bool (*supported)();  // by this CPU and operating system

  // Reorders weights for this variant's TernaryGemm.
  PackedTernary (*pack_ternary)(const TernaryMatrix& w);

  // y[i][j] = S_i alpha (sum_p q[i][p] T[j][p] - Z_i column_sum[j]) + bias[j]
  // The integer part is exact in int32 (k <= 2^22); the float part is one
  // rounding of S_i * alpha and one fused multiply-add, so all variants agree
  // bit for bit.
  void (*ternary_gemm)(const TernaryGemmArgs& args);

  // Row operations; contracts in row_ops.h.
  void (*quantize_rows)(const QuantizeRowsArgs& args);
  void (*add_layer_norm)(const AddLayerNormArgs& args);
  void (*activate)(const ActivateArgs& args);

  // Self-attention of one head of one sequence; contracts in attention.h.
  void (*attention_int8)(const AttentionArgs& args);
  void (*attention_fp32)(const AttentionArgs& args);
};

// All variants compiled in, best first; the last is "scalar".
absl::Span<const Variant* const> AllVariants();

// The variant named by `name` or, where it is empty, by TERN_FORCE_VARIANT or,
// where that is unset, the best that this machine supports.
// Errors: NOT_FOUND for an unknown name, FAILED_PRECONDITION for a variant that
// this machine lacks; both list what there is.
absl::StatusOr<const Variant*> ChooseVariant(absl::string_view name = "");

}  // namespace tern

#endif  // TERN_KERNELS_VARIANT_H_

// The row operations in AVX2 and FMA.

#include "kernels/lanes_avx2.h"
#include "kernels/variants_internal.h"

namespace tern {
namespace avx2 {
namespace {

#include "kernels/row_lanes.inc"
// Uses the former.
#include "kernels/row_ops.inc"

}  // namespace

void QuantizeRows(const QuantizeRowsArgs& args) { QuantizeAllRows(args); }

void AddLayerNorm(const AddLayerNormArgs& args) { AddLayerNormAllRows(args); }

void Activate(const ActivateArgs& args) { ActivateBy(args); }

}  // namespace avx2
}  // namespace tern

// The row operations in AVX-512.

#include "kernels/lanes_avx512.h"
#include "kernels/variants_internal.h"

namespace tern {
namespace TERN_AVX512_NAMESPACE {
namespace {

#include "kernels/row_lanes.inc"
// Uses the former.
#include "kernels/row_ops.inc"

}  // namespace

void QuantizeRows(const QuantizeRowsArgs& args) { QuantizeAllRows(args); }

void AddLayerNorm(const AddLayerNormArgs& args) { AddLayerNormAllRows(args); }

void Activate(const ActivateArgs& args) { ActivateBy(args); }

}  // namespace TERN_AVX512_NAMESPACE
}  // namespace tern

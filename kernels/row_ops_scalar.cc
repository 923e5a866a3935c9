// The row operations, lane by lane: what the other variants must equal.

#include "kernels/lanes_scalar.h"
#include "kernels/variants_internal.h"

namespace tern {
namespace scalar {
namespace {

#include "kernels/row_lanes.inc"
// Uses the former.
#include "kernels/row_ops.inc"

}  // namespace

void QuantizeRows(const QuantizeRowsArgs& args) { QuantizeAllRows(args); }

void AddLayerNorm(const AddLayerNormArgs& args) { AddLayerNormAllRows(args); }

void Activate(const ActivateArgs& args) { ActivateBy(args); }

}  // namespace scalar
}  // namespace tern

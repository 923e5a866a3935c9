// Attention, lane by lane: what the other variants must equal.

#include "kernels/lanes_scalar.h"
#include "kernels/variants_internal.h"

namespace tern {
namespace scalar {
namespace {

// Plain products of values less their zero points, one to a word.
struct IntegerDot {
  using Word = int32_t;
  using Sum = IntLanes;
  static constexpr int kGroup = 1;
  static constexpr int kTileRows = 1;
  static constexpr int kWordStep = 1;
  static constexpr int32_t kRightOffset = 0;

  static IntLanes Correction(int32_t left_sum, int32_t left_zero,
                             IntLanes right_offset, IntLanes right_sum) {
    return BroadcastInt(0);
  }
  static IntLanes LoadRight(const int32_t* p) { return LoadInt(p); }
  static IntLanes Accumulate(IntLanes sum, int32_t left, IntLanes right) {
    return EachLane<IntLanes>(
        [&](int l) { return sum.value[l] + left * right.value[l]; });
  }
  static void StoreLeft(int32_t* row, int p, IntLanes x, int32_t zero) {
    StoreInt(row + p, SubInt(x, BroadcastInt(zero)));
  }
  static void StoreRight(int32_t* row, int p, IntLanes x, int32_t zero) {
    StoreLeft(row, p, x, zero);
  }
  static IntLanes Pack(const IntLanes (&x)[kGroup], int32_t zero) {
    return SubInt(x[0], BroadcastInt(zero));
  }
};

#include "kernels/row_lanes.inc"
// Uses the former.
#include "kernels/attention.inc"

}  // namespace

void AttentionFp32(const AttentionArgs& args) { Fp32Head(args).Run(); }

void AttentionInt8(const AttentionArgs& args) { Int8Head(args).Run(); }

}  // namespace scalar

size_t AttentionScratchBytes(int length, int head_dim) {
  return scalar::Scratch(nullptr, length, head_dim).bytes;
}

}  // namespace tern

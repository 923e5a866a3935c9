// Sixteen floats or ints at a time, in plain C++: the specification of
// lanes_avx2.h and lanes_avx512.h.
//
// row_ops.inc and attention.inc are written once over this vocabulary and
// compiled per instruction set. Each operation rounds once, as IEEE 754 says,
// so every instruction set gives the same bits. Min and Max are the ternary
// expressions below also for zeros of either sign. In an anonymous namespace,
// as all that is compiled with ISA flags.

#ifndef TERN_KERNELS_LANES_SCALAR_H_
#define TERN_KERNELS_LANES_SCALAR_H_

#include <bit>
#include <cmath>
#include <cstdint>

namespace tern {
namespace {

inline constexpr int kLanes = 16;

struct Lanes {
  float value[kLanes];
};

struct IntLanes {
  int32_t value[kLanes];
};

template <typename Result, typename Function>
Result EachLane(Function function) {
  Result result;
  for (int l = 0; l < kLanes; ++l) result.value[l] = function(l);
  return result;
}

inline Lanes Broadcast(float x) {
  return EachLane<Lanes>([&](int) { return x; });
}
inline Lanes Load(const float* p) {
  return EachLane<Lanes>([&](int l) { return p[l]; });
}
// The first `count` floats at p, which alone are read; zeros in other lanes.
inline Lanes LoadFirst(const float* p, int count) {
  return EachLane<Lanes>([&](int l) { return l < count ? p[l] : 0.0f; });
}
inline void Store(float* p, Lanes x) {
  for (int l = 0; l < kLanes; ++l) p[l] = x.value[l];
}
inline void StoreFirst(float* p, Lanes x, int count) {
  for (int l = 0; l < count; ++l) p[l] = x.value[l];
}

inline Lanes Add(Lanes a, Lanes b) {
  return EachLane<Lanes>([&](int l) { return a.value[l] + b.value[l]; });
}
inline Lanes Sub(Lanes a, Lanes b) {
  return EachLane<Lanes>([&](int l) { return a.value[l] - b.value[l]; });
}
inline Lanes Mul(Lanes a, Lanes b) {
  return EachLane<Lanes>([&](int l) { return a.value[l] * b.value[l]; });
}
inline Lanes Div(Lanes a, Lanes b) {
  return EachLane<Lanes>([&](int l) { return a.value[l] / b.value[l]; });
}
// a b + c, rounded once.
inline Lanes MulAdd(Lanes a, Lanes b, Lanes c) {
  return EachLane<Lanes>(
      [&](int l) { return std::fma(a.value[l], b.value[l], c.value[l]); });
}
inline Lanes Min(Lanes a, Lanes b) {
  return EachLane<Lanes>(
      [&](int l) { return a.value[l] < b.value[l] ? a.value[l] : b.value[l]; });
}
inline Lanes Max(Lanes a, Lanes b) {
  return EachLane<Lanes>(
      [&](int l) { return a.value[l] > b.value[l] ? a.value[l] : b.value[l]; });
}
// x, but 0 where a < b.
inline Lanes ZeroWhereLess(Lanes x, Lanes a, Lanes b) {
  return EachLane<Lanes>(
      [&](int l) { return a.value[l] < b.value[l] ? 0.0f : x.value[l]; });
}
// The first `count` lanes of x, `fill` in the others.
inline Lanes KeepFirst(Lanes x, int count, float fill) {
  return EachLane<Lanes>([&](int l) { return l < count ? x.value[l] : fill; });
}

// To the nearest integer, ties to even; |x| < 2^31.
inline IntLanes RoundToInt(Lanes x) {
  return EachLane<IntLanes>(
      [&](int l) { return static_cast<int32_t>(std::nearbyint(x.value[l])); });
}
inline int32_t RoundToInt(float x) {
  return static_cast<int32_t>(std::nearbyint(x));
}
inline float SquareRoot(float x) { return std::sqrt(x); }
inline Lanes ToFloat(IntLanes x) {
  return EachLane<Lanes>([&](int l) { return static_cast<float>(x.value[l]); });
}
// 2^n, n in [-126, 127].
inline Lanes PowerOfTwo(IntLanes n) {
  return EachLane<Lanes>(
      [&](int l) { return std::bit_cast<float>((n.value[l] + 127) << 23); });
}

inline IntLanes BroadcastInt(int32_t x) {
  return EachLane<IntLanes>([&](int) { return x; });
}
inline IntLanes LoadInt(const int32_t* p) {
  return EachLane<IntLanes>([&](int l) { return p[l]; });
}
inline void StoreInt(int32_t* p, IntLanes x) {
  for (int l = 0; l < kLanes; ++l) p[l] = x.value[l];
}
inline IntLanes AddInt(IntLanes a, IntLanes b) {
  return EachLane<IntLanes>([&](int l) { return a.value[l] + b.value[l]; });
}
inline IntLanes SubInt(IntLanes a, IntLanes b) {
  return EachLane<IntLanes>([&](int l) { return a.value[l] - b.value[l]; });
}
inline IntLanes MinInt(IntLanes a, IntLanes b) {
  return EachLane<IntLanes>(
      [&](int l) { return a.value[l] < b.value[l] ? a.value[l] : b.value[l]; });
}
inline IntLanes KeepFirstInt(IntLanes x, int count) {
  return EachLane<IntLanes>([&](int l) { return l < count ? x.value[l] : 0; });
}
// Values in [0, 255], as 16 bytes.
inline void StoreBytes(uint8_t* p, IntLanes x) {
  for (int l = 0; l < kLanes; ++l) p[l] = static_cast<uint8_t>(x.value[l]);
}

// Lanes l and l + 8 are joined, then l and l + 4, l + 2, l + 1.
template <typename Value, typename Join>
Value ReduceTree(const Value (&lanes)[kLanes], Join join) {
  Value value[kLanes];
  for (int l = 0; l < kLanes; ++l) value[l] = lanes[l];
  for (int half = kLanes / 2; half > 0; half /= 2) {
    for (int l = 0; l < half; ++l) value[l] = join(value[l], value[l + half]);
  }
  return value[0];
}
inline float ReduceAdd(Lanes x) {
  return ReduceTree(x.value, [](float a, float b) { return a + b; });
}
inline float ReduceMin(Lanes x) {
  return ReduceTree(x.value, [](float a, float b) { return a < b ? a : b; });
}
inline float ReduceMax(Lanes x) {
  return ReduceTree(x.value, [](float a, float b) { return a > b ? a : b; });
}
inline int32_t ReduceAddInt(IntLanes x) {
  return ReduceTree(x.value, [](int32_t a, int32_t b) { return a + b; });
}

}  // namespace
}  // namespace tern

#endif  // TERN_KERNELS_LANES_SCALAR_H_

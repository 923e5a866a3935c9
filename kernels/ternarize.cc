#include "kernels/ternarize.h"

#include <cmath>
#include <cstdint>

namespace tern {

namespace {

// Sums run in lanes: one after the other they would wait for each other.
constexpr size_t kLanes = 8;

// add(i, lane) for each i below `size`.
template <typename Add>
void ForLanes(size_t size, Add add) {
  const size_t whole = size - size % kLanes;
  for (size_t i = 0; i < whole; i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) add(i + lane, lane);
  }
  for (size_t i = whole; i < size; ++i) add(i, i - whole);
}

double SumOf(const double (&lanes)[kLanes]) {
  double sum = 0;
  for (double lane : lanes) sum += lane;
  return sum;
}

// The largest float up to TWN's delta: a float is above delta where it is above
// that.
float TwnThreshold(const float* w, size_t size) {
  double magnitudes[kLanes] = {};
  ForLanes(size,
           [&](size_t i, size_t lane) { magnitudes[lane] += std::fabs(w[i]); });
  const double delta = size == 0 ? 0 : 0.7 * SumOf(magnitudes) / size;
  const float threshold = static_cast<float>(delta);
  return threshold > delta ? std::nextafter(threshold, 0.0f) : threshold;
}

void RoundToSigns(const float* w, float threshold, size_t size, int8_t* t) {
  for (size_t i = 0; i < size; ++i) {
    t[i] = static_cast<int8_t>((w[i] > threshold) - (w[i] < -threshold));
  }
}

// Of the weights above a threshold.
struct Kept {
  size_t count = 0;
  double mean = 0;  // of |w|, weighted by d; NaN where there is none
};

Kept KeptAbove(float threshold, const float* w, const float* d, size_t size) {
  double magnitudes[kLanes] = {};
  double weights[kLanes] = {};
  uint32_t counts[kLanes] = {};
  ForLanes(size, [&](size_t i, size_t lane) {
    const float magnitude = std::fabs(w[i]);
    const bool kept = magnitude > threshold;
    const double weight = d[i] * static_cast<float>(kept);
    magnitudes[lane] += weight * magnitude;
    weights[lane] += weight;
    counts[lane] += kept;
  });
  Kept sum;
  for (uint32_t count : counts) sum.count += count;
  sum.mean = SumOf(magnitudes) / SumOf(weights);
  return sum;
}

}  // namespace

float TernarizeTwn(const float* w, size_t size, int8_t* t) {
  RoundToSigns(w, TwnThreshold(w, size), size, t);

  double kept_magnitudes[kLanes] = {};
  ForLanes(size, [&](size_t i, size_t lane) {
    kept_magnitudes[lane] += w[i] * t[i];
  });
  size_t kept = 0;
  for (size_t i = 0; i < size; ++i) kept += t[i] != 0;
  return kept == 0 ? 0.0f : static_cast<float>(SumOf(kept_magnitudes) / kept);
}

float TernarizeLat(const float* w, const float* d, size_t size, int8_t* t) {
  float alpha = 0;
  float threshold = TwnThreshold(w, size);
  Kept kept = KeptAbove(threshold, w, d, size);
  // It ends by itself, since no T returns; seldom after more than ten turns.
  constexpr int kMaxTurns = 100;
  for (int turn = 0; turn < kMaxTurns && kept.count > 0; ++turn) {
    alpha = static_cast<float>(kept.mean);
    threshold = alpha / 2;
    const size_t count = kept.count;
    kept = KeptAbove(threshold, w, d, size);
    if (kept.count == count) break;  // one T's kept are among the other's
  }
  RoundToSigns(w, threshold, size, t);
  return alpha;
}

}  // namespace tern

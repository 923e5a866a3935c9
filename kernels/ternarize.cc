#include "kernels/ternarize.h"

#include <cmath>
#include <cstdlib>

namespace tern {

namespace {

// Sums in lanes: one after the other they would wait for each other.
constexpr size_t kLanes = 8;

double SumOf(const double (&lanes)[kLanes]) {
  double sum = 0;
  for (double lane : lanes) sum += lane;
  return sum;
}

// The mean of |w| over t != 0, weighted by d. NaN where t is 0 everywhere.
double WeightedMeanOfKept(const float* w, const float* d, size_t size,
                          const int8_t* t) {
  double magnitudes[kLanes] = {};
  double weights[kLanes] = {};
  const auto add = [&](size_t i, size_t lane) {
    const float kept = d[i] * std::abs(t[i]);
    magnitudes[lane] += static_cast<double>(kept) * std::fabs(w[i]);
    weights[lane] += kept;
  };
  const size_t whole = size - size % kLanes;
  for (size_t i = 0; i < whole; i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) add(i + lane, lane);
  }
  for (size_t i = whole; i < size; ++i) add(i, i - whole);
  return SumOf(magnitudes) / SumOf(weights);
}

}  // namespace

float TernarizeTwn(const float* w, size_t size, int8_t* t) {
  const size_t whole = size - size % kLanes;
  double magnitudes[kLanes] = {};
  for (size_t i = 0; i < whole; i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) {
      magnitudes[lane] += std::fabs(w[i + lane]);
    }
  }
  for (size_t i = whole; i < size; ++i) {
    magnitudes[i - whole] += std::fabs(w[i]);
  }
  const double delta = size == 0 ? 0 : 0.7 * SumOf(magnitudes) / size;
  // A float is above delta where it is above the largest float up to delta.
  float threshold = static_cast<float>(delta);
  if (threshold > delta) threshold = std::nextafter(threshold, 0.0f);

  for (size_t i = 0; i < size; ++i) {
    t[i] = static_cast<int8_t>((w[i] > threshold) - (w[i] < -threshold));
  }

  double kept_magnitudes[kLanes] = {};
  for (size_t i = 0; i < whole; i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) {
      kept_magnitudes[lane] += w[i + lane] * t[i + lane];
    }
  }
  for (size_t i = whole; i < size; ++i) {
    kept_magnitudes[i - whole] += w[i] * t[i];
  }
  size_t kept = 0;
  for (size_t i = 0; i < size; ++i) kept += t[i] != 0;
  return kept == 0 ? 0.0f : static_cast<float>(SumOf(kept_magnitudes) / kept);
}

float TernarizeLat(const float* w, const float* d, size_t size, int8_t* t) {
  float alpha = TernarizeTwn(w, size, t);
  // It ends by itself, since no T returns; seldom after more than ten turns.
  constexpr int kMaxTurns = 100;
  for (int turn = 0; turn < kMaxTurns; ++turn) {
    const double mean = WeightedMeanOfKept(w, d, size, t);
    if (std::isnan(mean)) break;  // nothing is kept
    alpha = static_cast<float>(mean);
    const float threshold = alpha / 2;
    int8_t changes = 0;
    for (size_t i = 0; i < size; ++i) {
      const int8_t best =
          static_cast<int8_t>((w[i] > threshold) - (w[i] < -threshold));
      changes |= best ^ t[i];
      t[i] = best;
    }
    if (changes == 0) break;
  }
  return alpha;
}

}  // namespace tern

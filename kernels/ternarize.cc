#include "kernels/ternarize.h"

#include <cmath>

namespace tern {

namespace {

// Sums in lanes: one after the other they would wait for each other.
constexpr size_t kLanes = 8;

double SumOf(const double (&lanes)[kLanes]) {
  double sum = 0;
  for (double lane : lanes) sum += lane;
  return sum;
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
    double weighted_magnitude = 0;
    double weight = 0;
    for (size_t i = 0; i < size; ++i) {
      if (t[i] == 0) continue;
      weighted_magnitude += static_cast<double>(d[i]) * std::fabs(w[i]);
      weight += d[i];
    }
    if (weight == 0) break;
    alpha = static_cast<float>(weighted_magnitude / weight);
    bool changed = false;
    for (size_t i = 0; i < size; ++i) {
      const int8_t best = std::fabs(w[i]) <= alpha / 2 ? 0 : w[i] > 0 ? 1 : -1;
      changed |= best != t[i];
      t[i] = best;
    }
    if (!changed) break;
  }
  return alpha;
}

}  // namespace tern

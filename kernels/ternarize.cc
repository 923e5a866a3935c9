#include "kernels/ternarize.h"

#include <cmath>

namespace tern {

float TernarizeTwn(const float* w, size_t size, int8_t* t) {
  double magnitude = 0;
  for (size_t i = 0; i < size; ++i) magnitude += std::fabs(w[i]);
  const double delta = size == 0 ? 0 : 0.7 * magnitude / size;

  double kept_magnitude = 0;
  size_t kept = 0;
  for (size_t i = 0; i < size; ++i) {
    const bool keep = std::fabs(w[i]) > delta;
    t[i] = !keep ? 0 : w[i] > 0 ? 1 : -1;
    if (keep) {
      kept_magnitude += std::fabs(w[i]);
      ++kept;
    }
  }
  return kept == 0 ? 0.0f : static_cast<float>(kept_magnitude / kept);
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

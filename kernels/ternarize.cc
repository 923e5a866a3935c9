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

}  // namespace tern

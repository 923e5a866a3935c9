#include "model/pooling.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace tern {

void PoolTokens(Pooling pooling, const float* x, int tokens, int k, float* y) {
  std::copy_n(x, k, y);
  if (pooling == Pooling::kFirstToken) return;
  for (int i = 1; i < tokens; ++i) {
    const float* row = x + static_cast<ptrdiff_t>(i) * k;
    if (pooling == Pooling::kMax) {
      for (int j = 0; j < k; ++j) y[j] = std::max(y[j], row[j]);
    } else {
      for (int j = 0; j < k; ++j) y[j] += row[j];
    }
  }
  if (pooling == Pooling::kMax) return;
  for (int j = 0; j < k; ++j) y[j] /= static_cast<float>(tokens);
}

void NormalizeEmbedding(absl::Span<float> y) {
  constexpr double kLeastNorm = 1e-12;
  double squares = 0;
  for (const float value : y) squares += static_cast<double>(value) * value;
  const double norm = std::max(std::sqrt(squares), kLeastNorm);
  for (float& value : y) value = static_cast<float>(value / norm);
}

}  // namespace tern

#include "train/weight_average.h"

#include <algorithm>

#include "ATen/ATen.h"

namespace tern {

WeightAverage::WeightAverage(const TensorMap& parameters, double decay)
    : parameters_(parameters), decay_(decay) {
  if (decay == 0) return;
  for (const auto& [name, parameter] : parameters_) {
    averages_[name] = parameter.detach().clone();
  }
}

void WeightAverage::Update(int64_t step) {
  const torch::NoGradGuard no_grad;
  const double t = static_cast<double>(step);
  const double share = 1 - std::min(decay_, (1 + t) / (10 + t));
  for (auto& [name, average] : averages_) {
    average.lerp_(parameters_.at(name), share);
  }
}

void WeightAverage::Swap() {
  for (auto& [name, average] : averages_) {
    float* const a = average.data_ptr<float>();
    std::swap_ranges(a, a + average.numel(),
                     parameters_.at(name).data_ptr<float>());
  }
}

}  // namespace tern

#include "train/adamw.h"

#include <algorithm>
#include <cmath>

#include "ATen/ATen.h"
#include "ATen/Parallel.h"
#include "absl/strings/match.h"
#include "train/vector_clones.h"

namespace tern {
namespace {

bool Decays(const std::string& name) {
  return !absl::EndsWith(name, ".bias") &&
         !absl::StrContains(name, "LayerNorm");
}

// One step's constants, with the bias corrections folded in.
struct Update {
  float gradient_factor;  // clipping
  float beta1, beta2;
  float rate;          // rate / (1 - b1^t)
  float inverse_root;  // 1 / sqrt(1 - b2^t)
  float epsilon;
  float kept;  // 1 - rate * decay
};

TERN_VECTOR_CLONES void UpdateElements(const Update& u, const float* gradient,
                                       int64_t size, float* p, float* m,
                                       float* v) {
  for (int64_t i = 0; i < size; ++i) {
    const float g = gradient[i] * u.gradient_factor;
    m[i] = u.beta1 * m[i] + (1 - u.beta1) * g;
    v[i] = u.beta2 * v[i] + (1 - u.beta2) * g * g;
    p[i] = u.kept * p[i] -
           u.rate * m[i] / (std::sqrt(v[i]) * u.inverse_root + u.epsilon);
  }
}

double GradientNorm(const TensorMap& parameters) {
  double squares = 0;
  for (const auto& [name, parameter] : parameters) {
    if (!parameter.grad().defined()) continue;
    const double norm = parameter.grad().norm().item<double>();
    squares += norm * norm;
  }
  return std::sqrt(squares);
}

}  // namespace

AdamW::AdamW(const TensorMap& parameters, const AdamWOptions& options)
    : parameters_(parameters), options_(options) {
  for (const auto& [name, parameter] : parameters_) {
    state_.first_moments[name] = at::zeros_like(parameter.detach());
    state_.second_moments[name] = at::zeros_like(parameter.detach());
  }
}

double AdamW::Step(double rate) {
  const torch::NoGradGuard no_grad;
  const double norm = GradientNorm(parameters_);
  if (!std::isfinite(norm)) return norm;
  const double t = static_cast<double>(++state_.steps);
  Update update;
  update.gradient_factor =
      options_.max_gradient_norm > 0
          ? static_cast<float>(
                std::min(1.0, options_.max_gradient_norm / (norm + 1e-6)))
          : 1.0f;
  update.beta1 = static_cast<float>(options_.beta1);
  update.beta2 = static_cast<float>(options_.beta2);
  update.rate = static_cast<float>(rate / (1 - std::pow(options_.beta1, t)));
  update.inverse_root =
      static_cast<float>(1 / std::sqrt(1 - std::pow(options_.beta2, t)));
  update.epsilon = static_cast<float>(options_.epsilon);
  for (const auto& [name, parameter] : parameters_) {
    if (!parameter.grad().defined()) continue;
    update.kept = static_cast<float>(
        1 - rate * (Decays(name) ? options_.weight_decay : 0));
    const torch::Tensor gradient = parameter.grad().contiguous();
    const float* const g = gradient.data_ptr<float>();
    float* const p = parameter.data_ptr<float>();
    float* const m = state_.first_moments[name].data_ptr<float>();
    float* const v = state_.second_moments[name].data_ptr<float>();
    constexpr int64_t kElementsPerTask = 1 << 15;
    at::parallel_for(0, parameter.numel(), kElementsPerTask,
                     [&](int64_t begin, int64_t end) {
                       UpdateElements(update, g + begin, end - begin, p + begin,
                                      m + begin, v + begin);
                     });
    parameter.mutable_grad().reset();
  }
  return norm;
}

double LinearSchedule(double peak_rate, double warmup, int64_t step,
                      int64_t steps) {
  const double warmup_steps = warmup * static_cast<double>(steps);
  const double done = static_cast<double>(step);
  if (done < warmup_steps) {
    return peak_rate * std::min(1.0, (done + 1) / warmup_steps);
  }
  return peak_rate * (static_cast<double>(steps) - done) /
         std::max(1.0, static_cast<double>(steps) - warmup_steps);
}

}  // namespace tern

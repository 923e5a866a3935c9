#include "train/simulated_quantization.h"

#include <string>
#include <utility>
#include <vector>

#include "ATen/ATen.h"
#include "ATen/CPUGeneratorImpl.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "torch/csrc/autograd/custom_function.h"
#include "train/fake_quantize.h"

namespace tern {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr float kLargestInt8 = 127;

template <typename T>
using Names = std::vector<std::pair<T, absl::string_view>>;

const Names<WeightScheme>& WeightNames() {
  static const auto& names = *new Names<WeightScheme>{
      {WeightScheme::kTwn, "twn"},
      {WeightScheme::kLat, "lat"},
      {WeightScheme::kStochastic, "stochastic"},
      {WeightScheme::kBinary, "binary"},
      {WeightScheme::kInt8, "int8"},
      {WeightScheme::kGroup2Bit, "group2bit"},
      {WeightScheme::kNone, "none"},
  };
  return names;
}

const Names<ActivationScheme>& ActivationNames() {
  static const auto& names = *new Names<ActivationScheme>{
      {ActivationScheme::kPerToken, "per-token"},
      {ActivationScheme::kPerTensor, "per-tensor"},
      {ActivationScheme::kPerTensorSymmetric, "per-tensor-symmetric"},
      {ActivationScheme::kNone, "none"},
  };
  return names;
}

template <typename T>
absl::StatusOr<T> Parse(const Names<T>& names, absl::string_view what,
                        absl::string_view name) {
  std::vector<absl::string_view> known;
  for (const auto& [value, known_name] : names) {
    if (known_name == name) return value;
    known.push_back(known_name);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("--", what, ": expected one of ", absl::StrJoin(known, ", "),
                   "; found '", name, "'"));
}

template <typename T>
absl::string_view NameIn(const Names<T>& names, T wanted) {
  for (const auto& [value, name] : names) {
    if (value == wanted) return name;
  }
  return "";
}

// Steps of zero, of groups that are constant, would divide zero by zero.
torch::Tensor OrOne(const torch::Tensor& step) {
  return at::where(step > 0, step, at::ones_like(step));
}

torch::Tensor Symmetric8Bit(const torch::Tensor& x,
                            const torch::Tensor& largest) {
  const torch::Tensor step = OrOne(largest / kLargestInt8);
  return (x / step).round() * step;
}

struct StraightThroughFunction
    : torch::autograd::Function<StraightThroughFunction> {
  static torch::Tensor forward(AutogradContext*, torch::Tensor /*x*/,
                               torch::Tensor quantized) {
    return quantized.clone();
  }
  static variable_list backward(AutogradContext*, variable_list dy) {
    return {dy[0], {}};
  }
};

// w [groups, weights of a group].
torch::Tensor SimulateGroups(WeightScheme scheme, const torch::Tensor& w,
                             const torch::Tensor& second_moment,
                             uint64_t draw) {
  const torch::Tensor largest = w.abs().amax(1, true);
  switch (scheme) {
    case WeightScheme::kNone:
      return w;
    case WeightScheme::kTwn:
    case WeightScheme::kLat: {
      const TernaryWeights weights = Ternarize(
          scheme == WeightScheme::kTwn ? Ternarizer::kTwn : Ternarizer::kLat,
          /*per_row=*/true, w, second_moment);
      return weights.t.to(torch::kFloat32) * weights.scales.unsqueeze(1);
    }
    case WeightScheme::kStochastic: {
      const torch::Tensor dice =
          at::rand(w.sizes(), at::make_generator<at::CPUGeneratorImpl>(draw));
      return (dice * largest < w.abs()) * w.sign() * largest;
    }
    case WeightScheme::kBinary: {
      const torch::Tensor scale = w.abs().mean(1, true);
      return at::where(w < 0, -scale, scale);
    }
    case WeightScheme::kInt8:
      return Symmetric8Bit(w, largest);
    case WeightScheme::kGroup2Bit: {
      const torch::Tensor low = w.amin(1, true);
      const torch::Tensor step = OrOne((w.amax(1, true) - low) / 3);
      return ((w - low) / step).round() * step + low;
    }
  }
  return w;
}

}  // namespace

absl::StatusOr<WeightScheme> ParseWeightScheme(absl::string_view name) {
  return Parse(WeightNames(), "weights", name);
}

absl::StatusOr<ActivationScheme> ParseActivationScheme(absl::string_view name) {
  return Parse(ActivationNames(), "activations", name);
}

absl::string_view Name(WeightScheme scheme) {
  return NameIn(WeightNames(), scheme);
}

absl::string_view Name(ActivationScheme scheme) {
  return NameIn(ActivationNames(), scheme);
}

torch::Tensor SimulateWeights(WeightScheme scheme, const torch::Tensor& w,
                              const torch::Tensor& second_moment,
                              int64_t groups, uint64_t draw) {
  const torch::NoGradGuard no_grad;
  const torch::Tensor grouped = w.detach().reshape({groups, -1});
  const torch::Tensor moment = second_moment.defined()
                                   ? second_moment.reshape({groups, -1})
                                   : torch::Tensor();
  return SimulateGroups(scheme, grouped, moment, draw).reshape(w.sizes());
}

torch::Tensor SimulateActivations(ActivationScheme scheme,
                                  const torch::Tensor& x) {
  const torch::Tensor values = x.detach();
  switch (scheme) {
    case ActivationScheme::kNone:
      return x;
    case ActivationScheme::kPerToken:
      return StraightThrough(x, FakeQuantizeRows(values));
    case ActivationScheme::kPerTensor:
      return StraightThrough(
          x, FakeQuantizeRows(values.reshape({1, -1})).view(x.sizes()));
    case ActivationScheme::kPerTensorSymmetric:
      return StraightThrough(x, Symmetric8Bit(values, values.abs().amax()));
  }
  return x;
}

torch::Tensor StraightThrough(const torch::Tensor& x,
                              const torch::Tensor& quantized) {
  return StraightThroughFunction::apply(x, quantized);
}

}  // namespace tern

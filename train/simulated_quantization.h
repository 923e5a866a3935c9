// What TernaryBERT is compared with: other ways to quantize weights and
// activations, simulated in fp32. Serving holds none of them, so the trainer
// alone evaluates such models.
//
// Thread-safe: pure functions.

#ifndef TERN_TRAIN_SIMULATED_QUANTIZATION_H_
#define TERN_TRAIN_SIMULATED_QUANTIZATION_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "torch/types.h"

namespace tern {

// Of a group of weights w that share their parameters:
//   none        w
//   twn, lat    alpha T, T in {-1, 0, 1} (kernels/ternarize.h)
//   stochastic  s T, s = max |w|: T = sign(w) with probability |w| / s, else 0
//               (TernaryConnect, Lin et al. 2016, in units of s)
//   binary      mean |w| sign(w), sign(0) = 1 (BWN, Rastegari et al. 2016)
//   int8        s round(w / s), s = max |w| / 127 (Q8BERT, Zafrir et al. 2019)
//   group2bit   min + d round((w - min) / d), d = (max - min) / 3
//               (Q-BERT, Shen et al. 2020)
// Halves round to even.
enum class WeightScheme {
  kNone,
  kTwn,
  kLat,
  kStochastic,
  kBinary,
  kInt8,
  kGroup2Bit
};

// 8 bits:
//   per-token             asymmetric, each row of a Linear layer's input by
//                         itself; attention as served
//   per-tensor            the same formula, one scale for all of a batch
//   per-tensor-symmetric  s round(x / s), s = max |x| / 127
enum class ActivationScheme {
  kNone,
  kPerToken,
  kPerTensor,
  kPerTensorSymmetric
};

// Errors: INVALID_ARGUMENT listing the names.
absl::StatusOr<WeightScheme> ParseWeightScheme(absl::string_view name);
absl::StatusOr<ActivationScheme> ParseActivationScheme(absl::string_view name);
absl::string_view Name(WeightScheme scheme);
absl::string_view Name(ActivationScheme scheme);

struct Quantization {
  WeightScheme weights = WeightScheme::kTwn;
  ActivationScheme activations = ActivationScheme::kPerToken;
  bool embedding_scale_per_row = true;  // else one for all word embeddings

  // Whether a ternary folder holds it, and the engine computes it.
  bool servable() const {
    return (weights == WeightScheme::kTwn || weights == WeightScheme::kLat) &&
           activations == ActivationScheme::kPerToken &&
           embedding_scale_per_row;
  }
};

// Quantizes w [n, k] in `groups` groups of n / groups neighbouring rows; groups
// divides n. `second_moment` is Adam's, or undefined; LAT alone reads it. The
// same `draw` gives the same stochastic weights.
torch::Tensor SimulateWeights(WeightScheme scheme, const torch::Tensor& w,
                              const torch::Tensor& second_moment,
                              int64_t groups, uint64_t draw);

// x quantized and dequantized; rows are along the last dimension. The gradient
// passes straight through.
torch::Tensor SimulateActivations(ActivationScheme scheme,
                                  const torch::Tensor& x);

// `quantized`, whose gradient goes to x.
torch::Tensor StraightThrough(const torch::Tensor& x,
                              const torch::Tensor& quantized);

}  // namespace tern

#endif  // TERN_TRAIN_SIMULATED_QUANTIZATION_H_

#include "train/simulated_quantization.h"

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "ATen/ATen.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "model/config.h"
#include "model/tensor_names.h"
#include "tests/train/tiny_bert.h"
#include "train/batches.h"
#include "train/bert_module.h"
#include "train/fake_quantize.h"
#include "train/losses.h"

namespace tern {
namespace {

using ::testing::HasSubstr;

constexpr WeightScheme kAllWeights[] = {
    WeightScheme::kNone,       WeightScheme::kTwn,    WeightScheme::kLat,
    WeightScheme::kStochastic, WeightScheme::kBinary, WeightScheme::kInt8,
    WeightScheme::kGroup2Bit};

torch::Tensor Matrix(const std::vector<float>& values, int64_t rows) {
  return at::tensor(values).view({rows, -1});
}

torch::Tensor Simulate(WeightScheme scheme, const torch::Tensor& w,
                       int64_t groups) {
  return SimulateWeights(scheme, w, {}, groups, /*draw=*/0);
}

void ExpectNear(const torch::Tensor& found, const torch::Tensor& expected) {
  EXPECT_TRUE(at::allclose(found, expected, 1e-6, 1e-6))
      << found << "\nexpected\n"
      << expected;
}

TEST(SimulateWeightsTest, BinaryIsTheMeanMagnitudeWithTheSign) {
  // Means 1 and 2, by hand.
  const torch::Tensor w = Matrix({0.5, -1.5, 0, 2, -3, 1, 2, -2}, 2);
  ExpectNear(Simulate(WeightScheme::kBinary, w, 2),
             Matrix({1, -1, 1, 1, -2, 2, 2, -2}, 2));
  ExpectNear(Simulate(WeightScheme::kBinary, w, 1),
             1.5 * Matrix({1, -1, 1, 1, -1, 1, 1, -1}, 2));
}

TEST(SimulateWeightsTest, BinaryIsTheNearestOfItsForm) {
  const torch::Tensor w = Random({1, 9}, 3);
  const double found =
      (Simulate(WeightScheme::kBinary, w, 1) - w).square().sum().item<double>();
  for (int signs = 0; signs < 1 << 9; ++signs) {
    torch::Tensor b = torch::ones({1, 9});
    for (int i = 0; i < 9; ++i) {
      if (signs >> i & 1) b[0][i] = -1;
    }
    const torch::Tensor scale = (w * b).sum() / 9;  // least squares
    EXPECT_LE(found, (scale * b - w).square().sum().item<double>() + 1e-6);
  }
}

TEST(SimulateWeightsTest, Int8HasStepsOfTheLargestOver127) {
  ExpectNear(Simulate(WeightScheme::kInt8,
                      Matrix({1.27, -0.632, 0.004, 0.006, -1.27, 0.5}, 1), 1),
             Matrix({1.27, -0.63, 0, 0.01, -1.27, 0.5}, 1));
}

TEST(SimulateWeightsTest, Group2BitTakesTheNearestOfFourLevelsOfItsRows) {
  const torch::Tensor w = Random({6, 50}, 4);
  const torch::Tensor found = Simulate(WeightScheme::kGroup2Bit, w, 3);
  for (int64_t group = 0; group < 3; ++group) {
    const torch::Tensor rows = w.slice(0, 2 * group, 2 * group + 2);
    const double low = rows.min().item<double>();
    const double high = rows.max().item<double>();
    for (int64_t i = 0; i < rows.size(0); ++i) {
      for (int64_t p = 0; p < rows.size(1); ++p) {
        double nearest = low;
        for (int level = 1; level < 4; ++level) {
          const double value = low + level * (high - low) / 3;
          const double latent = rows[i][p].item<double>();
          if (std::abs(value - latent) < std::abs(nearest - latent)) {
            nearest = value;
          }
        }
        EXPECT_NEAR(found[2 * group + i][p].item<double>(), nearest, 1e-5);
      }
    }
  }
}

TEST(SimulateWeightsTest, StochasticWeightsAreTernaryAndRightOnAverage) {
  const torch::Tensor w = Matrix({0.5, -1, 0.1, 0, 2, -1.5}, 1);
  constexpr int kDraws = 2000;
  torch::Tensor sum = torch::zeros_like(w);
  for (int draw = 0; draw < kDraws; ++draw) {
    const torch::Tensor q =
        SimulateWeights(WeightScheme::kStochastic, w, {}, 1, draw);
    EXPECT_TRUE(((q == 0) | (q == 2 * w.sign())).all().item<bool>());
    sum += q;
  }
  // A mean of draws deviates by at most 2 * 0.5 / sqrt(2000); six of those.
  EXPECT_LT((sum / kDraws - w).abs().max().item<double>(), 0.135);
  const torch::Tensor wide = Random({8, 64}, 1);
  const auto drawn = [&](uint64_t draw) {
    return SimulateWeights(WeightScheme::kStochastic, wide, {}, 1, draw);
  };
  EXPECT_TRUE(at::equal(drawn(7), drawn(7)));
  EXPECT_FALSE(at::equal(drawn(7), drawn(8)));
}

TEST(SimulateWeightsTest, TwnAndLatAreThoseThatAreServed) {
  const torch::Tensor w = Random({10, 40}, 5);
  const torch::Tensor moment = Random({10, 40}, 6).square();
  for (const bool per_row : {false, true}) {
    for (const auto& [scheme, ternarizer] :
         {std::pair{WeightScheme::kTwn, Ternarizer::kTwn},
          std::pair{WeightScheme::kLat, Ternarizer::kLat}}) {
      const TernaryWeights served = Ternarize(ternarizer, per_row, w, moment);
      EXPECT_TRUE(
          at::equal(SimulateWeights(scheme, w, moment, per_row ? 10 : 1, 0),
                    served.t.to(torch::kFloat32) * served.scales.unsqueeze(1)));
    }
  }
}

TEST(SimulateWeightsTest, ConstantWeightsStayFinite) {
  for (const WeightScheme scheme : kAllWeights) {
    const torch::Tensor zeros = torch::zeros({2, 5});
    EXPECT_TRUE(at::equal(Simulate(scheme, zeros, 1), zeros)) << Name(scheme);
    const torch::Tensor same = Simulate(scheme, torch::full({2, 5}, 0.25), 1);
    ExpectNear(same, torch::full({2, 5}, 0.25));
  }
}

TEST(SimulateActivationsTest, SymmetricIsOneScaleAroundZero) {
  const torch::Tensor x = Matrix({1.27, -0.632, 0.004, 0.5}, 2);
  ExpectNear(SimulateActivations(ActivationScheme::kPerTensorSymmetric, x),
             Matrix({1.27, -0.63, 0, 0.5}, 2));
  const torch::Tensor zeros = torch::zeros({2, 5});
  EXPECT_TRUE(at::equal(
      SimulateActivations(ActivationScheme::kPerTensorSymmetric, zeros),
      zeros));
}

TEST(SimulateActivationsTest, PerTensorHasOneScalePerTokenOneForEachRow) {
  // Ranges of 1 and of 100, in 255 steps.
  const torch::Tensor x = at::cat({at::rand({1, 64}), 100 * at::rand({1, 64})});
  const auto error = [&](ActivationScheme scheme) {
    return (SimulateActivations(scheme, x) - x).abs().amax(1);
  };
  const torch::Tensor per_token = error(ActivationScheme::kPerToken);
  const torch::Tensor per_tensor = error(ActivationScheme::kPerTensor);
  EXPECT_LE(per_token[0].item<double>(), 0.51 / 255);
  EXPECT_LE(per_token[1].item<double>(), 51.0 / 255);
  EXPECT_GT(per_tensor[0].item<double>(), 5.0 / 255);
  EXPECT_LE(per_tensor[0].item<double>(), 51.0 / 255);
}

TEST(SimulateActivationsTest, GradientsPassStraightThrough) {
  for (const ActivationScheme scheme :
       {ActivationScheme::kNone, ActivationScheme::kPerToken,
        ActivationScheme::kPerTensor, ActivationScheme::kPerTensorSymmetric}) {
    torch::Tensor x = Random({4, 32}, 1).requires_grad_(true);
    const torch::Tensor dy = Random({4, 32}, 2);
    SimulateActivations(scheme, x).backward(dy);
    EXPECT_TRUE(at::equal(x.grad(), dy)) << Name(scheme);
  }
}

TEST(SchemesTest, UnknownNamesGetTheKnownOnes) {
  EXPECT_THAT(std::string(ParseWeightScheme("trits").status().message()),
              HasSubstr("--weights: expected one of twn, lat, stochastic, "
                        "binary, int8, group2bit, none; found 'trits'"));
  EXPECT_EQ(*ParseActivationScheme("per-tensor"), ActivationScheme::kPerTensor);
  for (const WeightScheme scheme : kAllWeights) {
    EXPECT_EQ(*ParseWeightScheme(Name(scheme)), scheme);
  }
}

TokenBatch SmallBatch() {
  std::vector<Sequence> sequences(6);
  std::vector<int> indices;
  for (int s = 0; s < 6; ++s) {
    for (int i = 0; i < 3 + 2 * s; ++i) {
      sequences[s].ids.push_back((7 * i + 11 * s) % 60);
      sequences[s].type_ids.push_back(i % 2);
    }
    sequences[s].label = static_cast<float>(s % 3);
    indices.push_back(s);
  }
  return MakeTokenBatch(sequences, indices, Task::kSingleLabel);
}

TEST(SimulatedModuleTest, IsTheFloatModelOfTheQuantizedWeights) {
  const TokenBatch batch = SmallBatch();
  const torch::NoGradGuard no_grad;
  for (const WeightScheme scheme :
       {WeightScheme::kNone, WeightScheme::kTwn, WeightScheme::kBinary,
        WeightScheme::kInt8}) {
    BertOptions options;
    options.quantization = Quantization{scheme, ActivationScheme::kNone};
    const BertModule simulated = LoadTiny(options);
    const BertModule plain = LoadTiny({});
    for (const auto& [name, parameter] : plain.parameters()) {
      if (!IsTernary(StorageOf(name))) continue;
      const bool rows = StorageOf(name) == Storage::kTernaryPerRow;
      torch::Tensor values = parameter.detach();
      values.copy_(Simulate(scheme, values, rows ? values.size(0) : 1));
    }
    EXPECT_TRUE(at::equal(simulated.Forward(batch, {}).logits,
                          plain.Forward(batch, {}).logits))
        << Name(scheme);
  }
}

TEST(SimulatedModuleTest, FinerQuantizationIsNearerToTheFloatModel) {
  const TokenBatch batch = SmallBatch();
  const torch::NoGradGuard no_grad;
  const torch::Tensor exact = LoadTiny({}).Forward(batch, {}).logits;
  const auto error = [&](const Quantization& quantization) {
    BertOptions options;
    options.quantization = quantization;
    return (LoadTiny(options).Forward(batch, {}).logits - exact)
        .norm()
        .item<double>();
  };
  const double int8 = error({WeightScheme::kInt8, ActivationScheme::kPerToken});
  EXPECT_LT(int8, 0.1 * exact.norm().item<double>());
  EXPECT_GT(int8, 0);
  EXPECT_LT(int8, error({WeightScheme::kGroup2Bit}));
  EXPECT_LT(int8, error({WeightScheme::kBinary}));
  EXPECT_LT(error({WeightScheme::kNone, ActivationScheme::kPerTensor}),
            error({WeightScheme::kTwn, ActivationScheme::kPerTensor}));
}

// What no quantizer stands before has a true derivative: the quantized weights
// are constants to it.
TEST(SimulatedModuleTest, GradientsOfBiasesEqualFiniteDifferences) {
  BertOptions options;
  options.quantization =
      Quantization{WeightScheme::kBinary, ActivationScheme::kNone};
  const BertModule module = LoadTiny(options);
  const TokenBatch batch = SmallBatch();
  const auto loss = [&] {
    return LabelLoss(module.Forward(batch, {}), batch, Task::kSingleLabel)
        .total;
  };
  loss().backward();
  const torch::NoGradGuard no_grad;
  int compared = 0;
  for (const auto& [name, parameter] : module.parameters()) {
    if (parameter.dim() != 1) continue;
    const torch::Tensor gradient = parameter.grad().clone();
    const double slope = gradient.norm().item<double>();
    if (slope < 1e-4) continue;  // the keys' biases
    const double step = 2e-3;
    torch::Tensor values = parameter.detach();
    const torch::Tensor before = values.clone();
    values.copy_(before + gradient * (step / slope));
    const double above = loss().item<double>();
    values.copy_(before - gradient * (step / slope));
    const double below = loss().item<double>();
    values.copy_(before);
    // The loss, about 1, is good to some 1e-6; curvature bends the rest.
    EXPECT_NEAR((above - below) / (2 * step), slope, 2e-6 / step + 0.02 * slope)
        << name;
    ++compared;
  }
  EXPECT_GE(compared, 16);
}

TEST(SimulatedModuleTest, LatentWeightsGetTheGradientsOfTheQuantizedOnes) {
  BertOptions options;
  options.quantization =
      Quantization{WeightScheme::kBinary, ActivationScheme::kNone};
  const BertModule simulated = LoadTiny(options);
  const BertModule plain = LoadTiny({});
  const TokenBatch batch = SmallBatch();
  {
    const torch::NoGradGuard no_grad;
    for (const auto& [name, parameter] : plain.parameters()) {
      if (!IsTernary(StorageOf(name))) continue;
      const bool rows = StorageOf(name) == Storage::kTernaryPerRow;
      torch::Tensor values = parameter.detach();
      values.copy_(
          Simulate(WeightScheme::kBinary, values, rows ? values.size(0) : 1));
    }
  }
  for (const BertModule* module : {&simulated, &plain}) {
    LabelLoss(module->Forward(batch, {}), batch, Task::kSingleLabel)
        .total.backward();
  }
  for (const auto& [name, parameter] : simulated.parameters()) {
    EXPECT_TRUE(at::allclose(parameter.grad(),
                             plain.parameters().at(name).grad(), 1e-5, 1e-7))
        << name;
  }
}

}  // namespace
}  // namespace tern

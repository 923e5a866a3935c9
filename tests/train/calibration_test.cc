#include "train/calibration.h"

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "ATen/ATen.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "model/config.h"
#include "model/tensor_names.h"
#include "tests/train/tiny_bert.h"
#include "train/batches.h"
#include "train/losses.h"

namespace tern {
namespace {

torch::Tensor Twn(const torch::Tensor& w) {
  const TernaryWeights twn = Ternarize(Ternarizer::kTwn, false, w, {});
  return twn.scales * twn.t;
}

// What CalibrateMatrix makes small, without its ridge.
double Error(const torch::Tensor& w, const torch::Tensor& quantized,
             const torch::Tensor& teacher, const torch::Tensor& student) {
  return (teacher.mm(w.t()) - student.mm(quantized.t()))
      .square()
      .sum()
      .item<double>();
}

InputMoments MomentsOf(const torch::Tensor& teacher,
                       const torch::Tensor& student) {
  return {student.t().mm(student), teacher.t().mm(student)};
}

// The least error of all T in {-1, 0, 1}^k for w [1, k], each with its own
// least-squares scale.
double LeastError(const torch::Tensor& w, const torch::Tensor& teacher,
                  const torch::Tensor& student) {
  const int64_t k = w.size(1);
  const torch::Tensor target = teacher.mm(w.t());
  double least = std::numeric_limits<double>::infinity();
  for (int64_t code = 1; code < static_cast<int64_t>(std::pow(3, k)); ++code) {
    torch::Tensor t = torch::empty({1, k});
    int64_t digits = code;
    for (int64_t j = 0; j < k; ++j, digits /= 3) {
      t[0][j] = static_cast<float>(digits % 3 - 1);
    }
    const torch::Tensor output = student.mm(t.t());
    const double norm = output.square().sum().item<double>();
    if (norm == 0) continue;
    const double scale = (output * target).sum().item<double>() / norm;
    least = std::min(least, Error(w, scale * t, teacher, student));
  }
  return least;
}

TEST(CalibrateMatrixTest, InputsWithoutCorrelationLeaveTheNearestLevels) {
  const torch::Tensor w = Random({16, 40}, 1);
  const InputMoments moments = {torch::eye(40), torch::eye(40)};

  const TernaryWeights chosen = CalibrateMatrix(w, moments).ternary;

  const double alpha =
      Ternarize(Ternarizer::kTwn, false, w, {}).scales.item<double>();
  const torch::Tensor nearest = w.sign() * (w.abs() > alpha / 2);
  EXPECT_TRUE(at::equal(chosen.t.to(torch::kFloat32), nearest));
  EXPECT_NEAR(chosen.scales.item<double>(),
              w.abs().masked_select(nearest != 0).mean().item<double>(), 1e-5);
}

TEST(CalibrateMatrixTest, IsNearTheBestOfAllTernaryWeights) {
  double twn = 0, chosen = 0, least = 0;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const torch::Tensor w = Random({1, 7}, seed);
    const torch::Tensor mix = Random({7, 7}, seed + 100);
    const torch::Tensor inputs = Random({60, 7}, seed + 200).mm(mix);
    const TernaryWeights calibrated =
        CalibrateMatrix(w, MomentsOf(inputs, inputs)).ternary;
    const double one =
        Error(w, calibrated.scales * calibrated.t, inputs, inputs);
    const double best = LeastError(w, inputs, inputs);
    EXPECT_GE(one, best * 0.999);
    twn += Error(w, Twn(w), inputs, inputs);
    chosen += one;
    least += best;
  }
  EXPECT_LT(chosen, 0.8 * twn);
  EXPECT_LT(chosen, 4 * least);
}

TEST(CalibrateMatrixTest, MakesUpForWhatIsWrongWithTheStudentsInputs) {
  // More columns than a block.
  const torch::Tensor w = Random({24, 200}, 1);
  const torch::Tensor mix = Random({200, 200}, 2);
  const torch::Tensor teacher = Random({900, 200}, 3).mm(mix);
  const torch::Tensor student =
      0.8 * teacher + 2 * Random({900, 200}, 4).mm(Random({200, 200}, 5));

  const TernaryWeights chosen =
      CalibrateMatrix(w, MomentsOf(teacher, student)).ternary;
  const TernaryWeights blind =
      CalibrateMatrix(w, MomentsOf(teacher, teacher)).ternary;

  const double error = Error(w, chosen.scales * chosen.t, teacher, student);
  EXPECT_LT(error, 0.8 * Error(w, blind.scales * blind.t, teacher, student));
  EXPECT_LT(error, 0.8 * Error(w, Twn(w), teacher, student));
}

TEST(CalibrateTest, BringsTheStudentsStatesNearerToTheTeachers) {
  BertOptions ternary;
  ternary.quantization = Quantization{};
  const BertModule teacher = LoadTiny({});
  BertModule student = LoadTiny(ternary);
  const TokenizedDataset dataset = RandomDataset(48, 30);
  std::vector<TokenBatch> texts;
  for (const std::vector<int>& indices : PlanByLength(dataset.sequences, 16)) {
    texts.push_back(
        MakeTokenBatch(dataset.sequences, indices, Task::kSingleLabel));
  }
  const torch::NoGradGuard no_grad;
  ForwardOptions keep;
  keep.keep_internals = true;
  const auto hidden_loss = [&] {
    double sum = 0;
    for (const TokenBatch& batch : texts) {
      DistillationTerms hidden;
      hidden.predictions = hidden.attention = false;
      sum += DistillationLoss(student.Forward(batch, keep),
                              teacher.Forward(batch, keep), batch, hidden,
                              Task::kSingleLabel)
                 .total.item<double>();
    }
    return sum;
  };
  const double before = hidden_loss();
  const BertModule untouched = LoadTiny(ternary);
  std::vector<int> done;

  Calibrate(teacher, texts, student,
            [&](int layers) { done.push_back(layers); });

  EXPECT_LT(hidden_loss(), 0.8 * before);
  EXPECT_THAT(done, testing::ElementsAre(1, 2));
  for (const auto& [name, parameter] : student.parameters()) {
    const bool chosen = StorageOf(name) == Storage::kTernaryPerMatrix;
    EXPECT_EQ(!at::equal(parameter, untouched.parameters().at(name)), chosen)
        << name;
  }
}

}  // namespace
}  // namespace tern

// The trainer's arithmetic: forward passes against the serving kernels and
// engine, gradients against finite differences and autograd.

#include <cmath>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "ATen/ATen.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernels/ternary_gemm.h"
#include "model/engine.h"
#include "model/safetensors.h"
#include "model/tensor_names.h"
#include "model/ternary_folder.h"
#include "tests/train/tiny_bert.h"
#include "tests/train/tiny_masked_lm.h"
#include "train/adamw.h"
#include "train/attention.h"
#include "train/batches.h"
#include "train/bert_module.h"
#include "train/checkpoint.h"
#include "train/dropout.h"
#include "train/evaluation.h"
#include "train/fake_quantize.h"
#include "train/kernel_functions.h"
#include "train/latent_weights.h"
#include "train/losses.h"
#include "train/masked_lm.h"
#include "train/matrix_product.h"
#include "train/run_folder.h"
#include "train/weight_average.h"

namespace tern {
namespace {

using ::testing::HasSubstr;

double RelativeError(const torch::Tensor& x, const torch::Tensor& expected) {
  return ((x - expected).norm() / expected.norm()).item<double>();
}

// oneDNN has no products of BF16 for CPUs without AVX-512.
bool HasProducts(torch::ScalarType type) {
  return type != torch::kBFloat16 || CpuHasBFloat16Products();
}

TEST(MatrixProductTest, ReadsTransposedAndStridedViews) {
  const torch::Tensor a = Random({5, 7}, 1), b = Random({9, 7}, 2);
  const torch::Tensor every_other = Random({10, 14}, 3).slice(1, 0, 14, 2);
  const torch::Tensor column = Random({5, 1}, 4);
  // Sums of at most 10 products of magnitude about 1.
  const auto expect_product = [](const torch::Tensor& x,
                                 const torch::Tensor& y) {
    EXPECT_TRUE(at::allclose(MatrixProduct(x, y), at::mm(x, y), 0, 1e-5))
        << x.sizes() << " by " << y.sizes();
  };
  expect_product(a, b.t());
  expect_product(a.t(), Random({5, 3}, 5));
  expect_product(every_other, b.t());
  expect_product(b, every_other.t());
  expect_product(a.slice(1, 2, 6), b.slice(1, 2, 6).t());
  expect_product(column.t(), a);
  expect_product(column, a.slice(0, 0, 1));
}

TEST(MatrixProductTest, RefusesOtherShapesAndTypes) {
  const torch::Tensor a = Random({5, 7}, 1);
  EXPECT_THROW(MatrixProduct(a, a), c10::Error);
  EXPECT_THROW(MatrixProduct(a, a.t().to(torch::kBFloat16)), c10::Error);
  EXPECT_THROW(MatrixProduct(a, Random({1, 7, 5}, 2)), c10::Error);
}

TEST(MatrixProductTest, SmallIntegersAreExactInBFloat16) {
  const torch::Tensor a = at::randint(-255, 256, {33, 1536}, torch::kFloat32);
  const torch::Tensor b = at::randint(-1, 2, {1536, 65}, torch::kFloat32);
  const torch::Tensor exact =
      at::mm(a.to(torch::kDouble), b.to(torch::kDouble));
  for (const auto type : {torch::kFloat32, torch::kBFloat16}) {
    if (!HasProducts(type)) continue;
    EXPECT_TRUE(at::equal(
        MatrixProduct(a.to(type), b.to(type)).to(torch::kDouble), exact));
  }
}

// y of the serving kernel for x and w.
torch::Tensor KernelProduct(const torch::Tensor& x, const TernaryWeights& w,
                            const torch::Tensor& bias) {
  const int m = x.size(0), n = w.t.size(0), k = x.size(1);
  const std::vector<uint8_t> codes = EncodeTernary(
      {w.t.data_ptr<int8_t>(), static_cast<size_t>(w.t.numel())}, n, k);
  const PackedTernary packed = TrainingVariant().pack_ternary(
      {n, k, codes.data(), w.scales.item<float>()});
  AlignedBuffer<uint8_t> bytes(m * PaddedDepth(k));
  std::vector<RowScale> scales(m);
  QuantizeRowsArgs quantize;
  quantize.rows = m;
  quantize.k = quantize.x_stride = k;
  quantize.x = x.data_ptr<float>();
  quantize.out = {m, k, PaddedDepth(k), bytes.data(), scales.data()};
  TrainingVariant().quantize_rows(quantize);
  torch::Tensor y = torch::empty({m, n});
  TernaryGemmArgs args;
  args.x = quantize.out;
  args.w = &packed;
  args.bias = bias.data_ptr<float>();
  args.y = y.data_ptr<float>();
  args.y_stride = args.last_column = n;
  TrainingVariant().ternary_gemm(args);
  return y;
}

class TernaryLinearTest : public testing::TestWithParam<torch::ScalarType> {
 protected:
  void SetUp() override {
    if (!HasProducts(GetParam())) GTEST_SKIP() << "no such products here";
  }
};

TEST_P(TernaryLinearTest, GivesTheBitsOfTheServingKernel) {
  const torch::Tensor x = Random({37, 200}, 1), w = Random({70, 200}, 2);
  const torch::Tensor bias = Random({70}, 3);
  const TernaryWeights weights = Ternarize(Ternarizer::kTwn, false, w, {});
  const torch::Tensor y = TernaryLinear(QuantizeInput(x, GetParam()), w, bias,
                                        MakeTernaryFactor(weights, GetParam()));
  EXPECT_TRUE(at::equal(y, KernelProduct(x, weights, bias)));
}

TEST_P(TernaryLinearTest, GradientsPassTheQuantizersStraightThrough) {
  torch::Tensor x = Random({37, 200}, 1).requires_grad_(true);
  torch::Tensor w = Random({70, 200}, 2).requires_grad_(true);
  torch::Tensor bias = Random({70}, 3).requires_grad_(true);
  const torch::Tensor dy = Random({37, 70}, 4);
  const TernaryWeights weights =
      Ternarize(Ternarizer::kTwn, false, w.detach(), {});
  const float scale = weights.scales.item<float>();
  TernaryLinear(QuantizeInput(x, GetParam()), w, bias,
                MakeTernaryFactor(weights, GetParam()))
      .backward(dy);
  // BF16 keeps 8 bits of each gradient.
  const double tolerance = GetParam() == torch::kBFloat16 ? 4e-3 : 1e-6;
  EXPECT_LT(RelativeError(x.grad(),
                          at::mm(dy, weights.t.to(torch::kFloat32) * scale)),
            tolerance);
  EXPECT_LT(
      RelativeError(w.grad(), at::mm(dy.t(), FakeQuantizeRows(x.detach()))),
      tolerance);
  EXPECT_LT(RelativeError(bias.grad(), dy.sum(0)), 1e-6);
}

INSTANTIATE_TEST_SUITE_P(Types, TernaryLinearTest,
                         testing::Values(torch::kFloat32, torch::kBFloat16));

TEST(TernaryEmbeddingTest, TernarizesEachRowByItself) {
  torch::Tensor w = Random({20, 48}, 1).requires_grad_(true);
  const torch::Tensor ids = at::tensor(std::vector<int64_t>{3, 19, 3});
  const torch::Tensor y = TernaryEmbedding(Ternarizer::kTwn, w, {}, ids);
  const TernaryWeights rows = Ternarize(Ternarizer::kTwn, true, w.detach(), {});
  const torch::Tensor expected =
      (rows.t.to(torch::kFloat32) * rows.scales.unsqueeze(1))
          .index_select(0, ids);
  EXPECT_TRUE(at::equal(y.detach(), expected));
  const torch::Tensor dy = Random({3, 48}, 2);
  y.backward(dy);
  EXPECT_TRUE(at::allclose(w.grad()[3], dy[0] + dy[2]));
  EXPECT_TRUE(at::equal(w.grad()[19], dy[1]));
  EXPECT_EQ(w.grad()[4].abs().sum().item<float>(), 0);
}

// q, k and v of a batch, with gradients.
std::vector<torch::Tensor> RandomHeads(const TokenBatch& batch) {
  std::vector<torch::Tensor> qkv;
  for (uint64_t i = 0; i < 3; ++i) {
    qkv.push_back(Random({batch.tokens(), 64}, i).requires_grad_(true));
  }
  return qkv;
}

// Attention as its formula has it, a sequence and a head at a time.
AttentionOutput PlainAttention(const std::vector<torch::Tensor>& qkv,
                               const TokenBatch& batch, int64_t heads) {
  const int64_t d = qkv[0].size(1) / heads;
  std::vector<torch::Tensor> contexts, scores;
  for (int64_t s = 0; s < batch.sequences(); ++s) {
    std::vector<torch::Tensor> of_heads;
    for (int64_t h = 0; h < heads; ++h) {
      const auto head = [&](const torch::Tensor& x) {
        return x.slice(0, batch.starts[s], batch.starts[s + 1])
            .slice(1, h * d, (h + 1) * d);
      };
      const torch::Tensor of_head = at::mm(head(qkv[0]), head(qkv[1]).t()) /
                                    std::sqrt(static_cast<double>(d));
      scores.push_back(of_head.reshape({-1}));
      of_heads.push_back(at::mm(of_head.softmax(-1), head(qkv[2])));
    }
    contexts.push_back(at::cat(of_heads, 1));
  }
  return {at::cat(contexts), at::cat(scores)};
}

// Context, scores and the gradients of q, k and v under a loss of both.
std::vector<torch::Tensor> ValuesAndGradients(
    const std::vector<torch::Tensor>& qkv, const AttentionOutput& output) {
  const torch::Tensor weights = Random(output.context.sizes().vec(), 5);
  ((output.context * weights).sum() + output.scores.square().sum()).backward();
  return {output.context.detach(), output.scores.detach(), qkv[0].grad(),
          qkv[1].grad(), qkv[2].grad()};
}

class AttentionTest : public testing::TestWithParam<int> {};

// Lengths around the blocks in which rows are taken, and many short ones.
TEST_P(AttentionTest, EqualsItsFormulaInValueAndGradient) {
  const TokenBatch batch = WholeBatch(RandomDataset(6, GetParam()));
  const auto expected_inputs = RandomHeads(batch), inputs = RandomHeads(batch);
  const auto expected = ValuesAndGradients(
      expected_inputs, PlainAttention(expected_inputs, batch, 2));
  const auto found =
      ValuesAndGradients(inputs, Attend(inputs[0], inputs[1], inputs[2], batch,
                                        {.heads = 2, .keep_scores = true}));
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_LT(RelativeError(found[i], expected[i]), 1e-5) << i;
  }
}

TEST_P(AttentionTest, QuantizedIsCloseToFloatInValueAndGradient) {
  const TokenBatch batch = WholeBatch(RandomDataset(6, GetParam()));
  const auto run = [&](ActivationScheme activations) {
    const auto qkv = RandomHeads(batch);
    return ValuesAndGradients(
        qkv,
        Attend(qkv[0], qkv[1], qkv[2], batch,
               {.heads = 2, .activations = activations, .keep_scores = true}));
  };
  const auto expected = run(ActivationScheme::kNone);
  // 8 bits over a range of about 5 deviations: 0.6% of noise in each operand.
  // With one scale for all the range is about 9, and a step, of the largest
  // probability there is, is coarse beside those of 150 keys; without a sign's
  // bit twice as much.
  for (const auto& [scheme, tolerance] :
       {std::pair{ActivationScheme::kPerToken, 0.02},
        std::pair{ActivationScheme::kPerTensor, 0.04},
        std::pair{ActivationScheme::kPerTensorSymmetric, 0.08}}) {
    const auto found = run(scheme);
    for (size_t i = 0; i < expected.size(); ++i) {
      const double error = RelativeError(found[i], expected[i]);
      EXPECT_LT(error, tolerance) << Name(scheme) << " " << i;
      EXPECT_GT(error, 0) << Name(scheme) << " " << i;
    }
  }
}

// Short of a block of rows, one and a bit, two and a bit.
INSTANTIATE_TEST_SUITE_P(Lengths, AttentionTest, testing::Values(20, 70, 150));

TEST(AttentionDropoutTest, GradientsAreOfTheSameMask) {
  const TokenBatch batch = WholeBatch(RandomDataset(6, 70));
  const auto qkv = RandomHeads(batch);
  const torch::Tensor weights = Random({batch.tokens(), 64}, 5);
  const auto loss = [&] {
    at::manual_seed(3);
    return (Attend(qkv[0], qkv[1], qkv[2], batch, {.heads = 2, .dropout = 0.3})
                .context *
            weights)
        .sum();
  };
  loss().backward();
  const torch::NoGradGuard no_grad;
  for (const torch::Tensor& x : qkv) {
    const double slope = x.grad().norm().item<double>();
    const torch::Tensor step = x.grad() * (1e-2 / slope);
    torch::Tensor values = x.detach();
    values.add_(step);
    const double above = loss().item<double>();
    values.sub_(2 * step);
    const double below = loss().item<double>();
    values.add_(step);
    EXPECT_NEAR((above - below) / 2e-2, slope, 0.01 * slope);
  }
}

TEST(DropoutTest, DropsTheShareAskedForAndKeepsTheMean) {
  std::vector<float> factors(1000);
  int64_t dropped = 0, both = 0;
  constexpr int kRows = 1000;
  for (int row = 0; row < kRows; ++row) {
    DropoutFactors(/*seed=*/7, row, 0.1, 1000, factors.data());
    for (size_t j = 0; j < factors.size(); ++j) {
      EXPECT_TRUE(factors[j] == 0 || factors[j] == 1 / 0.9f);
      dropped += factors[j] == 0;
      both += j > 0 && factors[j] == 0 && factors[j - 1] == 0;
    }
  }
  // Of a million, 5 standard deviations of a binomial.
  EXPECT_NEAR(dropped, 100'000, 5 * 300);
  EXPECT_NEAR(both, 9'990, 5 * 100);
}

TEST(DropoutTest, TheBackwardPassDropsTheSame) {
  torch::Tensor x = torch::ones({40, 70}).requires_grad_(true);
  const torch::Tensor y = Dropout(x, 0.5);
  y.sum().backward();
  EXPECT_TRUE(at::equal(y.detach(), x.grad()));
  EXPECT_FALSE(at::equal(y.detach(), Dropout(x, 0.5).detach()));
}

// Every parameter's gradient, by the derivative along its own direction.
TEST(BertModuleTest, GradientsEqualFiniteDifferences) {
  const BertModule module = LoadTiny({});
  const TokenBatch batch = WholeBatch(RandomDataset(8, 12));
  const auto loss = [&] {
    return LabelLoss(module.Forward(batch, {}), batch, Task::kSingleLabel)
        .total;
  };
  loss().backward();
  const torch::NoGradGuard no_grad;
  for (const auto& [name, parameter] : module.parameters()) {
    const torch::Tensor gradient = parameter.grad().clone();
    const double slope = gradient.norm().item<double>();
    // softmax ignores a shift of all its inputs, hence the keys' bias.
    if (slope < 1e-4) {
      EXPECT_THAT(name, HasSubstr("key.bias"));
      continue;
    }
    const double step = 2e-3;
    torch::Tensor values = parameter.detach();
    const torch::Tensor before = values.clone();
    values.copy_(before + gradient * (step / slope));
    const double above = loss().item<double>();
    values.copy_(before - gradient * (step / slope));
    const double below = loss().item<double>();
    values.copy_(before);
    // The loss, about 1, is good to some 1e-6; curvature bends the rest.
    const double tolerance = 2e-6 / step + 0.02 * slope;
    EXPECT_NEAR((above - below) / (2 * step), slope, tolerance) << name;
  }
}

TEST(BertModuleTest, AFrozenOneGivesTheSameBits) {
  for (const auto type : {torch::kFloat32, torch::kBFloat16}) {
    if (!HasProducts(type)) continue;
    BertModule module = LoadTiny({.product_type = type});
    const TokenBatch batch = WholeBatch(RandomDataset(8, 12));
    const torch::Tensor logits = module.Forward(batch, {}).logits;
    module.Freeze();
    EXPECT_TRUE(at::equal(module.Forward(batch, {}).logits, logits));
  }
}

class ExportTest : public testing::TestWithParam<WeightScheme> {};

TEST_P(ExportTest, EngineGivesTheLogitsOfTheTrainer) {
  BertOptions options;
  options.quantization = Quantization{GetParam()};
  BertModule module = LoadTiny(options);
  TensorMap second_moments;
  for (const auto& [name, parameter] : module.parameters()) {
    second_moments[name] = Random(parameter.sizes().vec(), 11).square();
  }
  module.SetSecondMoments(&second_moments);
  module.RefreshQuantizedWeights(0);
  const TokenizedDataset dataset = RandomDataset(50, 40);
  const Logits expected = *LogitsOf(module, dataset, 8);

  const std::string folder = testing::TempDir() + "exported";
  std::filesystem::remove_all(folder);
  // Twice, since a run replaces its best model.
  ASSERT_TRUE(WriteTernaryFolder(module, TinyFolder(), folder).ok());
  ASSERT_TRUE(WriteTernaryFolder(module, TinyFolder(), folder).ok());
  const auto engine = Engine::Load(folder, {});
  ASSERT_TRUE(engine.ok()) << engine.status();
  EXPECT_EQ((*engine)->precision(), Precision::kTernary);
  const auto served = LogitsOf(**engine, dataset, 8, 1);
  ASSERT_TRUE(served.ok()) << served.status();
  for (size_t i = 0; i < expected.values.size(); ++i) {
    // Only the classifier's 64 products are summed in another order.
    EXPECT_NEAR(served->values[i], expected.values[i], 1e-5) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Ternarizers, ExportTest,
                         testing::Values(WeightScheme::kTwn,
                                         WeightScheme::kLat));

TEST(LatentWeightsTest, TwnMakesTheirTernaryWeightsAgain) {
  for (const bool per_row : {false, true}) {
    const torch::Tensor w = Random({40, 96}, 1);
    const torch::Tensor trained = w + 0.3 * Random({40, 96}, 2);
    const torch::Tensor t = Ternarize(Ternarizer::kTwn, per_row, trained, {}).t;

    const torch::Tensor latent = LatentWeights(w, t, per_row).contiguous();

    EXPECT_TRUE(
        at::equal(Ternarize(Ternarizer::kTwn, per_row, latent, {}).t, t));
    const torch::Tensor own = Ternarize(Ternarizer::kTwn, per_row, w, {}).t;
    ASSERT_FALSE(at::equal(own, t));
    // Weights that need not move, but for those near a threshold, stay.
    const torch::Tensor far = ((w.abs() < 0.4) | (w.abs() > 0.8)) & (own == t);
    EXPECT_GT(far.to(torch::kFloat32).mean().item<double>(), 0.5);
    EXPECT_TRUE(at::equal(latent.masked_select(far), w.masked_select(far)));
  }
}

TEST(LatentWeightsTest, AnyTernaryWeightsAreReached) {
  const torch::Tensor w = Random({8, 32}, 3);
  for (const torch::Tensor& t :
       {torch::ones({8, 32}), at::randint(-1, 2, {8, 32}).to(torch::kFloat32),
        -w.sign()}) {
    const torch::Tensor latent = LatentWeights(w, t, false).contiguous();
    EXPECT_TRUE(at::equal(
        Ternarize(Ternarizer::kTwn, false, latent, {}).t.to(torch::kFloat32),
        t));
  }
}

TEST(LatentWeightsTest, AStudentKeepsTheTernaryWeightsOfItsFolder) {
  BertOptions options;
  options.quantization = Quantization{};
  const BertModule trained = LoadTiny(options);
  {
    const torch::NoGradGuard no_grad;
    uint64_t seed = 21;
    for (const auto& [name, parameter] : trained.parameters()) {
      torch::Tensor weights = parameter;
      weights.add_(0.3 * weights.std() * Random(weights.sizes().vec(), ++seed));
    }
  }
  const std::string folder = testing::TempDir() + "trained";
  std::filesystem::remove_all(folder);
  ASSERT_TRUE(WriteTernaryFolder(trained, TinyFolder(), folder).ok());
  absl::StatusOr<BertModule> student = BertModule::Load(
      *LoadConfig(folder), folder + "/model.safetensors", options, 1);
  ASSERT_TRUE(student.ok()) << student.status();

  RecoverLatentWeights(LoadTiny({}), *student);

  int matrices = 0;
  for (const auto& [name, parameter] : student->parameters()) {
    if (!IsTernary(StorageOf(name))) {
      EXPECT_TRUE(at::equal(parameter, trained.parameters().at(name)) ||
                  StorageOf(name) == Storage::kHalf)
          << name;
      continue;
    }
    ++matrices;
    EXPECT_TRUE(at::equal(student->TernaryWeightsOf(name).t,
                          trained.TernaryWeightsOf(name).t))
        << name;
  }
  EXPECT_GT(matrices, 10);
}

TEST(LossesTest, AStudentEqualToItsTeacherHasOnlyTheEntropyLeft) {
  const BertModule module = LoadTiny({});
  const TokenBatch batch = WholeBatch(RandomDataset(8, 12));
  ForwardOptions options;
  options.keep_internals = true;
  const torch::NoGradGuard no_grad;
  const BertOutput output = module.Forward(batch, options);
  const Loss loss =
      DistillationLoss(output, output, batch, {}, Task::kSingleLabel);
  const double entropy =
      -(output.logits.softmax(-1) * output.logits.log_softmax(-1))
           .sum(-1)
           .mean()
           .item<double>();
  EXPECT_NEAR(loss.total.item<double>(), entropy, 1e-6);
  EXPECT_EQ(loss.terms.size(), 3u);
}

TEST(LossesTest, AQuestionAnswerersClassesAreTheTokensOfItsSequence) {
  // Sequences of 2 and 3 tokens with start and end logits; answers at tokens
  // 1 to 1 and 0 to 2.
  TokenBatch batch;
  batch.starts = {0, 2, 5};
  batch.longest = 3;
  batch.padded_rows = at::tensor(std::vector<int64_t>{0, 1, 3, 4, 5});
  batch.labels = at::tensor(std::vector<int64_t>{1, 1, 0, 2}).view({2, 2});
  BertOutput teacher, student;
  student.logits = Random({5, 2}, 1);
  teacher.logits = Random({5, 2}, 2);
  const auto column = [&](const BertOutput& output, int s, int which) {
    return output.logits.slice(0, batch.starts[s], batch.starts[s + 1])
        .select(1, which);
  };
  double labels = 0, predictions = 0;
  for (int s = 0; s < 2; ++s) {
    for (int which = 0; which < 2; ++which) {
      const torch::Tensor found = column(student, s, which).log_softmax(0);
      const torch::Tensor target = column(teacher, s, which).softmax(0);
      const int64_t label = batch.labels[s][which].item<int64_t>();
      labels -= found[label].item<double>() / 4;
      predictions -= (target * found).sum().item<double>() / 4;
    }
  }
  EXPECT_NEAR(
      LabelLoss(student, batch, Task::kQuestionAnswering).total.item<double>(),
      labels, 1e-6);
  DistillationTerms terms;
  terms.hidden = terms.attention = false;
  EXPECT_NEAR(
      DistillationLoss(student, teacher, batch, terms, Task::kQuestionAnswering)
          .total.item<double>(),
      predictions, 1e-6);
}

TEST(LossesTest, TermsAreMeansOverUnitsAndPairsOfTokens) {
  // Two heads; sequences of 1 and 3 tokens, so 20 scores.
  TokenBatch batch;
  batch.starts = {0, 1, 4};
  batch.longest = 3;
  BertOutput student, teacher;
  teacher.hidden_states = {torch::zeros({4, 5}), torch::zeros({4, 5})};
  student.hidden_states = {torch::full({4, 5}, 2.0), torch::ones({4, 5})};
  teacher.attention_scores = {torch::zeros({20}), torch::zeros({20})};
  student.attention_scores = {torch::zeros({20}), torch::zeros({20})};
  student.attention_scores[1].slice(0, 2, 20).fill_(3.0);
  DistillationTerms terms;
  terms.predictions = false;
  const Loss loss =
      DistillationLoss(student, teacher, batch, terms, Task::kSingleLabel);
  ASSERT_EQ(loss.terms.size(), 2u);
  EXPECT_DOUBLE_EQ(loss.terms[0].second, 4 + 1);
  EXPECT_NEAR(loss.terms[1].second, 18 * 9.0 / 20, 1e-6);
}

TEST(AdamWTest, FirstStepGoesByTheRateAgainstTheSign) {
  TensorMap parameters;
  for (const char* name : {"a.weight", "a.bias", "LayerNorm.weight"}) {
    parameters[name] = torch::full({2}, 2.0).requires_grad_(true);
    parameters[name].mutable_grad() =
        at::tensor(std::vector<float>{0.5f, -0.25f});
  }
  AdamWOptions options;
  options.weight_decay = 0.1;
  options.max_gradient_norm = 0;
  AdamW optimizer(parameters, options);
  EXPECT_NEAR(optimizer.Step(0.01), std::sqrt(3 * 0.3125), 1e-6);
  // After one step m / sqrt(v) is the sign; only weights decay, by 0.01 * 0.1.
  EXPECT_NEAR(parameters["a.bias"][0].item<float>(), 1.99f, 1e-6f);
  EXPECT_NEAR(parameters["a.bias"][1].item<float>(), 2.01f, 1e-6f);
  EXPECT_NEAR(parameters["LayerNorm.weight"][0].item<float>(), 1.99f, 1e-6f);
  EXPECT_NEAR(parameters["a.weight"][0].item<float>(), 1.988f, 1e-6f);
  EXPECT_FALSE(parameters["a.weight"].grad().defined());
}

TEST(AdamWTest, ClipsTheNormOverAllParameters) {
  TensorMap parameters;
  parameters["a.weight"] = torch::zeros({1}).requires_grad_(true);
  parameters["a.weight"].mutable_grad() = torch::full({1}, 4.0);
  AdamWOptions options;
  options.max_gradient_norm = 1;
  AdamW optimizer(parameters, options);
  optimizer.Step(0.01);
  // m = (1 - 0.9) g with g clipped from 4 to 1.
  EXPECT_NEAR(optimizer.state().first_moments["a.weight"].item<float>(), 0.1,
              1e-6);
}

TEST(AdamWTest, RateRisesThenFalls) {
  EXPECT_DOUBLE_EQ(LinearSchedule(1, 0.1, 0, 100), 0.1);
  EXPECT_DOUBLE_EQ(LinearSchedule(1, 0.1, 9, 100), 1);
  EXPECT_DOUBLE_EQ(LinearSchedule(1, 0.1, 10, 100), 1);
  EXPECT_DOUBLE_EQ(LinearSchedule(1, 0.1, 55, 100), 0.5);
  EXPECT_DOUBLE_EQ(LinearSchedule(1, 0, 0, 100), 1);
  // A warm-up of no whole number of steps does not overshoot.
  EXPECT_DOUBLE_EQ(LinearSchedule(1, 0.1, 0, 3), 1);
  EXPECT_DOUBLE_EQ(LinearSchedule(1, 0.1, 1, 15), 1);
}

TEST(WeightAverageTest, ForgetsTheFirstStepsSoonAndLaterOnesSlowly) {
  TensorMap parameters = {{"w", torch::zeros({1})}};
  WeightAverage average(parameters, 0.5);
  const auto step = [&](int64_t t, float value) {
    parameters["w"].fill_(value);
    average.Update(t);
    return average.averages().at("w").item<float>();
  };
  // Decays 2 / 11, 3 / 12, then 0.5.
  EXPECT_FLOAT_EQ(step(1, 11), 9);
  EXPECT_FLOAT_EQ(step(2, 13), 12);
  EXPECT_FLOAT_EQ(step(100, 14), 13);
  average.Swap();
  EXPECT_FLOAT_EQ(parameters["w"].item<float>(), 13);
  average.Swap();
  EXPECT_FLOAT_EQ(parameters["w"].item<float>(), 14);
}

TEST(MaskedLmTest, GivesTheLogitsOfItsFormula) {
  const std::string folder = testing::TempDir() + "masked_lm";
  ASSERT_TRUE(WriteTinyMaskedLm(folder).ok());
  const std::string file = folder + "/model.safetensors";
  const absl::StatusOr<MaskedLm> lm = MaskedLm::Load(*LoadConfig(folder), file);
  ASSERT_TRUE(lm.ok()) << lm.status();
  const TokenBatch batch = WholeBatch(RandomDataset(3, 9));
  const torch::Tensor rows = at::tensor(std::vector<int64_t>{1, 4});
  const torch::Tensor found = lm->Logits(batch, rows);

  const auto encoder = BertModule::Load(*LoadConfig(folder), file, {}, 0);
  const auto head = Safetensors::Open(file);
  const auto tensor = [&](const std::string& name) {
    const Tensor& stored = (*head)->tensors().at("cls.predictions." + name);
    const std::vector<float> floats =
        *(*head)->ReadFloats("cls.predictions." + name, stored.shape);
    return at::tensor(floats).view(stored.shape);
  };
  const torch::NoGradGuard no_grad;
  const torch::Tensor h = encoder->LastHiddenState(batch).index_select(0, rows);
  const torch::Tensor y =
      at::layer_norm(at::gelu(at::linear(h, tensor("transform.dense.weight"),
                                         tensor("transform.dense.bias"))),
                     {h.size(1)}, tensor("transform.LayerNorm.weight"),
                     tensor("transform.LayerNorm.bias"), 1e-12);
  const torch::Tensor expected = at::linear(
      y, encoder->parameters().at("bert.embeddings.word_embeddings.weight"),
      tensor("bias"));
  EXPECT_LT(RelativeError(found, expected), 1e-5);
}

TEST(CheckpointTest, RefusesARunWithOtherOptions) {
  TensorMap parameters = {{"w", Random({3}, 1)}};
  AdamW optimizer(parameters, {});
  const std::string path = testing::TempDir() + "checkpoint.safetensors";
  RunProgress progress;
  progress.step = 12;
  progress.best_score = 1.0 / 3;
  ASSERT_TRUE(
      SaveCheckpoint(path, progress, "--seed=1", parameters, optimizer.state())
          .ok());
  RunProgress read;
  const absl::Status refused =
      LoadCheckpoint(path, "--seed=2", read, parameters, optimizer.state());
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("--seed=1"));
  ASSERT_TRUE(
      LoadCheckpoint(path, "--seed=1", read, parameters, optimizer.state())
          .ok());
  EXPECT_EQ(read.step, 12);
  EXPECT_EQ(read.best_score, 1.0 / 3);
}

}  // namespace
}  // namespace tern

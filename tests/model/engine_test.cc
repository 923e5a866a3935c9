#include "model/engine.h"

#include <cmath>
#include <cstring>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernels/variant.h"
#include "model/ternary_folder.h"
#include "nlohmann/json.hpp"
#include "tests/tiny_model.h"

namespace tern {
namespace {

using ::testing::HasSubstr;
using ::testing::TestWithParam;
using ::testing::Values;

constexpr int kMaxTokens = 1024;
constexpr int kMaxThreads = 4;

bool NotAbandoned() { return false; }

std::string NewFolderName() {
  static int count = 0;
  return ::testing::TempDir() + "engine_test_" + std::to_string(count++);
}

// `folder`, or a ternary one made from it if `precision` asks for that.
std::string InPrecision(const std::string& folder,
                        const std::string& precision) {
  if (precision != "ternary") return folder;
  const std::string ternary = NewFolderName();
  const absl::Status status = TernarizeFolder(folder, ternary);
  EXPECT_TRUE(status.ok()) << status;
  return ternary;
}

// A tiny model folder, ternarized if `precision` asks for it.
std::string Folder(const TinyModelOptions& options,
                   const std::string& precision) {
  const std::string folder = NewFolderName();
  EXPECT_TRUE(WriteTinyModel(folder, options).ok());
  return InPrecision(folder, precision);
}

// A folder that transformers made; script/make-goldens writes them.
std::string GoldenFolder(const std::string& name) {
  return std::string(TERN_SOURCE_DIR) + "/tests/model/goldens/" + name;
}

std::unique_ptr<Engine> LoadEngine(const std::string& folder,
                                   EngineOptions options) {
  absl::StatusOr<std::unique_ptr<Engine>> engine =
      Engine::Load(folder, options);
  EXPECT_TRUE(engine.ok()) << engine.status();
  return *std::move(engine);
}

std::vector<int32_t> RandomIds(std::mt19937& random, int length, int words) {
  std::vector<int32_t> ids(length);
  for (int32_t& id : ids) id = random() % words;
  return ids;
}

std::vector<float> Logits(const Engine& engine, const Batch& batch,
                          int threads = 1) {
  Workspace workspace(kMaxTokens, kMaxThreads);
  workspace.Reserve(engine.config());
  ThreadTeam team(kMaxThreads);
  team.Assemble(threads);
  const auto logits = engine.Forward(batch, workspace, team, NotAbandoned);
  EXPECT_TRUE(logits.ok()) << logits.status();
  return {logits->begin(), logits->end()};
}

Batch Alone(const std::vector<int32_t>& ids) {
  Batch batch;
  batch.Add(ids, std::vector<int32_t>(ids.size(), 0));
  return batch;
}

// Bits, not values: -0 is not 0.
bool SameBits(const float* a, const float* b, size_t size) {
  return std::memcmp(a, b, size * sizeof(float)) == 0;
}

class EveryPrecision : public TestWithParam<const char*> {};

INSTANTIATE_TEST_SUITE_P(Engine, EveryPrecision,
                         Values("fp32", "int8", "ternary"));

// One model of every kind of head.
std::vector<std::string> FoldersOfEveryHead(const std::string& precision) {
  TinyModelOptions answerer;
  answerer.task = TinyTask::kQuestionAnswering;
  std::vector<std::string> folders = {Folder({}, precision),
                                      Folder(answerer, precision)};
  for (const char* golden :
       {"distilbert", "embedding-mean", "embedding-max",
        "embedding-cls-distilbert", "mobilebert", "mobilebert-layer-norm",
        "mobilebert-question-answering"}) {
    folders.push_back(InPrecision(GoldenFolder(golden), precision));
  }
  return folders;
}

TEST_P(EveryPrecision, AnswerDoesNotDependOnBatchNeighboursOrThreads) {
  for (const std::string& folder : FoldersOfEveryHead(GetParam())) {
    SCOPED_TRACE(folder);
    const auto engine = LoadEngine(folder, {.precision = GetParam()});
    const int words = engine->config().vocabulary_size;
    const bool per_token = engine->config().task == Task::kQuestionAnswering;
    const int outputs = engine->config().outputs();
    std::mt19937 random(7);
    for (int sequences : {1, 2, 7, 40}) {
      std::vector<std::vector<int32_t>> texts;
      Batch together;
      for (int s = 0; s < sequences; ++s) {
        texts.push_back(RandomIds(random, 1 + random() % 25, words));
        together.Add(texts.back(), std::vector<int32_t>(texts.back().size()));
      }
      for (int threads = 1; threads <= kMaxThreads; ++threads) {
        const std::vector<float> logits = Logits(*engine, together, threads);
        for (int s = 0; s < sequences; ++s) {
          const std::vector<float> alone = Logits(*engine, Alone(texts[s]));
          const int first = per_token ? together.starts[s] : s;
          ASSERT_EQ(alone.size(), (per_token ? texts[s].size() : 1) * outputs);
          ASSERT_TRUE(
              SameBits(alone.data(), &logits[first * outputs], alone.size()))
              << "sequence " << s << " of " << sequences << " on " << threads
              << " threads";
        }
      }
    }
  }
}

TEST(EngineTest, EveryVariantGivesTheSameBits) {
  for (const std::string& folder :
       {Folder({}, "ternary"),
        InPrecision(GoldenFolder("mobilebert"), "ternary")}) {
    std::mt19937 random(3);
    const auto scalar = LoadEngine(folder, {.variant = "scalar"});
    const Batch batch =
        Alone(RandomIds(random, 60, scalar->config().vocabulary_size));
    const std::vector<float> expected = Logits(*scalar, batch);
    for (const Variant* variant : AllVariants()) {
      if (!variant->supported()) continue;
      const auto engine = LoadEngine(folder, {.variant = variant->name});
      EXPECT_EQ(engine->variant(), variant->name);
      const std::vector<float> logits = Logits(*engine, batch);
      EXPECT_TRUE(SameBits(logits.data(), expected.data(), expected.size()))
          << variant->name;
    }
  }
}

// Logits beside those of transformers.
class Golden : public TestWithParam<const char*> {};

INSTANTIATE_TEST_SUITE_P(
    Engine, Golden,
    Values("single-label-gelu", "multi-label-gelu-new", "regression-relu",
           "question-answering", "question-answering-old-names", "tinybert",
           "distilbert", "distilbert-question-answering", "embedding-mean",
           "embedding-max", "embedding-cls-distilbert", "mobilebert",
           "mobilebert-layer-norm", "mobilebert-question-answering"));

TEST_P(Golden, LogitsEqualThoseOfTransformers) {
  const std::string folder = GoldenFolder(GetParam());
  const auto engine = LoadEngine(folder, {});
  const auto golden =
      nlohmann::json::parse(std::ifstream(folder + "/golden.json"));
  ASSERT_FALSE(golden["inputs"].empty());
  for (const auto& input : golden["inputs"]) {
    Batch batch;
    batch.Add(input["token_ids"].get<std::vector<int32_t>>(),
              input["type_ids"].get<std::vector<int32_t>>());
    std::vector<float> expected;
    for (const auto& row : input["logits"]) {
      for (const float logit : row) expected.push_back(logit);
    }
    const std::vector<float> logits = Logits(*engine, batch);
    ASSERT_EQ(logits.size(), expected.size());
    for (size_t i = 0; i < logits.size(); ++i) {
      // At most four layers of sums over at most 64 terms of magnitude ~1, each
      // rounded to 2^-24 of itself: 4 * 64 * 6e-8 < 2e-5.
      EXPECT_NEAR(logits[i], expected[i], 2e-5) << input.dump();
    }
  }
}

TEST_P(EveryPrecision, AnswerDoesNotDependOnThreadsThatComeAndGo) {
  const auto engine =
      LoadEngine(Folder({.layers = 4}, GetParam()), {.precision = GetParam()});
  std::mt19937 random(11);
  const Batch batch =
      Alone(RandomIds(random, 50, engine->config().vocabulary_size));
  Workspace workspace(kMaxTokens, kMaxThreads);
  workspace.Reserve(engine->config());
  ThreadTeam team(kMaxThreads);
  int layer = 0;

  const auto logits = engine->Forward(batch, workspace, team, [&] {
    team.Assemble(1 + ++layer % kMaxThreads);
    return false;
  });

  ASSERT_TRUE(logits.ok()) << logits.status();
  const std::vector<float> expected = Logits(*engine, batch);
  EXPECT_TRUE(SameBits(logits->data(), expected.data(), expected.size()));
}

TEST(EngineTest, EndsEarlyWhenNobodyAwaitsTheBatch) {
  const auto engine = LoadEngine(Folder({.layers = 3}, "fp32"), {});
  Workspace workspace(kMaxTokens, 1);
  workspace.Reserve(engine->config());
  ThreadTeam team(1);
  int asked = 0;
  const auto logits = engine->Forward(Alone({2, 5, 3}), workspace, team,
                                      [&] { return ++asked == 2; });
  EXPECT_EQ(logits.status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(asked, 2) << "asked before each layer, until told";
}

TEST(EngineTest, Int8StaysCloseToFp32) {
  const std::string folder = Folder({}, "fp32");
  std::mt19937 random(5);
  const auto fp32 = LoadEngine(folder, {.precision = "fp32"});
  const auto int8 = LoadEngine(folder, {.precision = "int8"});
  const Batch batch =
      Alone(RandomIds(random, 40, fp32->config().vocabulary_size));
  const std::vector<float> a = Logits(*fp32, batch);
  const std::vector<float> b = Logits(*int8, batch);
  // A quantization step is 1/255 of an activation's range and 1/63 of a
  // weight's; two layers of it leave logits of magnitude ~1 within a tenth.
  for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 0.1);
}

TEST(EngineTest, DequantizedTernaryFolderRunsInFp32) {
  const std::string folder = Folder({}, "ternary");
  const auto ternary = LoadEngine(folder, {});
  const auto fp32 = LoadEngine(folder, {.precision = "fp32"});
  EXPECT_EQ(ternary->precision(), Precision::kTernary);
  EXPECT_EQ(ternary->parameters(), fp32->parameters());
  std::mt19937 random(5);
  const Batch batch =
      Alone(RandomIds(random, 40, fp32->config().vocabulary_size));
  const std::vector<float> a = Logits(*ternary, batch);
  const std::vector<float> b = Logits(*fp32, batch);
  // Weights are equal; 8-bit activations make the difference.
  for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 0.1);
}

TEST(EngineTest, TernaryPrecisionOfAnOrdinaryFolderIsRefused) {
  const auto engine =
      Engine::Load(Folder({}, "fp32"), {.precision = "ternary"});
  EXPECT_EQ(engine.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(engine.status().ToString(), HasSubstr("tern-model ternarize"));
}

TEST(EngineTest, UnknownPrecisionIsNamed) {
  const auto engine = Engine::Load(Folder({}, "fp32"), {.precision = "int4"});
  EXPECT_EQ(engine.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(engine.status().ToString(), HasSubstr("'int4'"));
}

}  // namespace
}  // namespace tern

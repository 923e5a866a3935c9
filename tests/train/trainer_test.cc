#include "train/trainer.h"

#include <cmath>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/train/tiny_bert.h"

namespace tern {
namespace {

using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

// A training of the tiny BERT: 10 sequences in batches of 4.
class TrainerTest : public testing::Test {
 protected:
  void SetUp() override {
    job_.title = "test";
    job_.module = &module_;
    job_.train = job_.dev = &data_;
    job_.loss = [this](const TokenBatch& batch) {
      return LabelLoss(module_.Forward(batch, {}), batch, Task::kSingleLabel);
    };
    job_.score = [this](const Logits&) -> absl::StatusOr<Scores> {
      ++evaluations_;
      return Scores{};
    };
    job_.save_best = [] { return absl::OkStatus(); };
    job_.folder.path =
        testing::TempDir() + "trainer_" +
        testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(job_.folder.path);
    std::filesystem::create_directories(job_.folder.path);
    options_.epochs = 1;
    options_.batch_size = 4;
  }

  BertModule module_ = LoadTiny({});
  const TokenizedDataset data_ = RandomDataset(10, 7);
  TrainingJob job_;
  TrainerOptions options_;
  int evaluations_ = 0;
};

TEST_F(TrainerTest, AnEvaluationThatASignalStopsIsDoneByTheRunThatGoesOn) {
  job_.loss = [this, steps = 0](const TokenBatch& batch) mutable {
    if (++steps == 3) std::raise(SIGTERM);  // before the evaluation
    return LabelLoss(module_.Forward(batch, {}), batch, Task::kSingleLabel);
  };
  const auto stopped = Train(job_, options_);
  EXPECT_EQ(stopped.status().code(), absl::StatusCode::kCancelled);
  EXPECT_THAT(std::string(stopped.status().message()),
              HasSubstr("stopped after step 3 of 3"));
  EXPECT_EQ(evaluations_, 0);

  options_.resume = true;
  const auto finished = Train(job_, options_);
  ASSERT_TRUE(finished.ok()) << finished.status();
  EXPECT_EQ(finished->best_step, 3);
  EXPECT_EQ(evaluations_, 1);

  // What was evaluated is not evaluated again.
  ASSERT_TRUE(Train(job_, options_).ok());
  EXPECT_EQ(evaluations_, 1);
}

TEST_F(TrainerTest, PassesOfAStepAreWeighedByTheirSequences) {
  // Every pass has the gradient of its number of sequences, by one weight.
  std::vector<int64_t> sequences;
  const std::string name = "classifier.bias";
  job_.loss = [&](const TokenBatch& batch) {
    sequences.push_back(batch.sequences());
    Loss loss;
    loss.total = module_.parameters().at(name).sum() *
                 static_cast<double>(batch.sequences());
    return loss;
  };
  options_.accumulate = 3;
  options_.adamw.max_gradient_norm = 0;
  options_.adamw.weight_decay = 0;
  ASSERT_TRUE(Train(job_, options_).ok());
  EXPECT_THAT(sequences, UnorderedElementsAre(4, 4, 2));
  // Of every output: (4 * 4 + 4 * 4 + 2 * 2) / 10 = 3.6; the log has the norm.
  std::ifstream log(job_.folder.log());
  double norm = 0;
  for (std::string line; std::getline(log, line);) {
    const auto object = nlohmann::json::parse(line);
    if (object["event"] == "step") norm = object["gradient_norm"];
  }
  EXPECT_NEAR(norm, 3.6 * std::sqrt(3.0), 1e-5);
}

TEST_F(TrainerTest, GradientsThatAreNotFiniteEndTheRunAndChangeNothing) {
  const std::string name = "classifier.bias";
  const torch::Tensor before = module_.parameters().at(name).detach().clone();
  job_.loss = [&](const TokenBatch&) {
    Loss loss;  // of 0, but with a derivative of infinity
    loss.total =
        (module_.parameters().at(name) - module_.parameters().at(name).detach())
            .abs()
            .sqrt()
            .sum();
    return loss;
  };
  const auto finished = Train(job_, options_);
  EXPECT_EQ(finished.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(finished.status().message()),
              HasSubstr("the norm of the gradients is"));
  EXPECT_TRUE(module_.parameters().at(name).equal(before));
}

TEST_F(TrainerTest, AFolderIsForOneRun) {
  const RunFolder run = job_.folder;
  std::ofstream(run.path + "/checkpoint.safetensors.7.tmp") << "half";
  {
    const auto lock = OpenRun(run, /*resume=*/false);
    ASSERT_TRUE(lock.ok()) << lock.status();
    EXPECT_FALSE(
        std::filesystem::exists(run.path + "/checkpoint.safetensors.7.tmp"));
    const auto second = OpenRun(run, /*resume=*/true);
    EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(second.status().message()),
                HasSubstr("another process trains in this folder"));
  }
  std::ofstream(run.checkpoint()) << "x";
  const auto unasked = OpenRun(run, /*resume=*/false);
  EXPECT_EQ(unasked.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(unasked.status().message()),
              HasSubstr("--resume goes on with it"));
  EXPECT_TRUE(OpenRun(run, /*resume=*/true).ok());
}

}  // namespace
}  // namespace tern

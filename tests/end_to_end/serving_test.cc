// Texts in, answers out, through the real tern-server and the real tern.

#include <gmock/gmock.h>
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <cmath>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "tests/client/run_command.h"
#include "tests/end_to_end/random_texts.h"
#include "tests/end_to_end/server_process.h"
#include "tests/tiny_model.h"

namespace tern {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

// A server with a tiny model of each task.
class ServingTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::vector<std::string> flags = {"--lame-duck=0s"};
    for (const auto& [name, task] :
         {std::pair("sentiment", TinyTask::kSingleLabel),
          std::pair("topics", TinyTask::kMultiLabel),
          std::pair("stars", TinyTask::kRegression),
          std::pair("squad", TinyTask::kQuestionAnswering)}) {
      const std::string folder = absl::StrCat(folder_.path(), "/", name);
      TinyModelOptions options;
      options.task = task;
      const absl::Status written = WriteTinyModel(folder, options);
      ASSERT_TRUE(written.ok()) << written;
      flags.push_back(absl::StrCat("--model=", name, "=", folder));
    }
    auto server = ServerProcess::Start(flags);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }

  void TearDown() override {
    if (server_ != nullptr) {
      EXPECT_EQ(server_->Stop(), 0) << server_->process().Log();
    }
  }

  CommandResult Tern(std::vector<std::string> arguments,
                     const std::string& input = "") {
    arguments.insert(arguments.begin(), TERN_COMMAND);
    setenv("TERN_SERVER", server_->target().c_str(), 1);
    return RunCommand(arguments, input);
  }

  static void ExpectError(const CommandResult& result, int exit_code,
                          const std::string& message) {
    EXPECT_EQ(result.exit_code, exit_code);
    EXPECT_THAT(result.err, StartsWith("tern: "));
    EXPECT_THAT(result.err, HasSubstr(message));
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1)
        << result.err;
  }

  template <typename Message>
  static std::vector<Message> ParseJsonLines(const std::string& lines) {
    std::vector<Message> messages;
    for (absl::string_view line :
         absl::StrSplit(lines, '\n', absl::SkipEmpty())) {
      const auto status = google::protobuf::util::JsonStringToMessage(
          std::string(line), &messages.emplace_back());
      EXPECT_TRUE(status.ok()) << line;
    }
    return messages;
  }

  TemporaryFolder folder_;
  std::unique_ptr<ServerProcess> server_;
};

TEST_F(ServingTest, LabelsBestFirstByTheSoftmaxOfTheLogits) {
  const CommandResult command = Tern({"classify", "--model", "sentiment",
                                      "--json", "--logits", "a gripping film"});

  ASSERT_EQ(command.exit_code, 0) << command.err;
  const auto results = ParseJsonLines<v1::ClassifyResult>(command.out);
  ASSERT_EQ(results.size(), 1u);
  const v1::ClassifyResult& result = results[0];
  ASSERT_EQ(result.logits_size(), 3);
  ASSERT_EQ(result.labels_size(), 3);
  EXPECT_FALSE(result.truncated());
  EXPECT_GE(result.token_count(), 5);
  double sum = 0;
  for (const float logit : result.logits()) sum += std::exp(double{logit});
  for (int i = 0; i < 3; ++i) {
    const v1::Label& label = result.labels(i);
    EXPECT_EQ(label.label(), absl::StrCat("label-", label.index()));
    // A softmax in float: a few roundings of numbers below 1.
    EXPECT_NEAR(label.score(),
                std::exp(double{result.logits(label.index())}) / sum,
                8 * std::numeric_limits<float>::epsilon());
    if (i > 0) {
      EXPECT_LE(label.score(), result.labels(i - 1).score());
    }
  }
}

TEST_F(ServingTest, ScoresEachLabelOfAMultiLabelModelByItself) {
  const CommandResult command = Tern({"classify", "--model", "topics", "--json",
                                      "--logits", "a gripping film"});

  ASSERT_EQ(command.exit_code, 0) << command.err;
  const auto results = ParseJsonLines<v1::ClassifyResult>(command.out);
  ASSERT_EQ(results.size(), 1u);
  for (const v1::Label& label : results[0].labels()) {
    EXPECT_NEAR(label.score(),
                1 / (1 + std::exp(-double{results[0].logits(label.index())})),
                8 * std::numeric_limits<float>::epsilon());
  }
}

TEST_F(ServingTest, ReturnsTheValueOfARegressionModel) {
  const CommandResult command = Tern({"classify", "--model", "stars", "--json",
                                      "--logits", "a gripping film"});

  ASSERT_EQ(command.exit_code, 0) << command.err;
  const auto results = ParseJsonLines<v1::ClassifyResult>(command.out);
  ASSERT_EQ(results.size(), 1u);
  ASSERT_EQ(results[0].labels_size(), 1);
  EXPECT_EQ(results[0].labels(0).score(), results[0].logits(0));
}

TEST_F(ServingTest, AnswersInTheOrderOfTheLinesWhateverTheirNumber) {
  const std::vector<std::string> texts = RandomTexts(300, /*seed=*/7);
  const std::vector<std::string> flags = {"classify", "--model", "sentiment",
                                          "--json", "--logits"};

  const CommandResult all = Tern(flags, absl::StrJoin(texts, "\n"));

  ASSERT_EQ(all.exit_code, 0) << all.err;
  const std::vector<std::string> lines =
      absl::StrSplit(all.out, '\n', absl::SkipEmpty());
  ASSERT_EQ(lines.size(), texts.size());
  for (size_t i = 0; i < texts.size(); i += 37) {
    EXPECT_EQ(Tern(flags, texts[i]).out, lines[i] + "\n") << texts[i];
  }
}

TEST_F(ServingTest, TakesPairsOnTheCommandLineAndByLine) {
  const CommandResult arguments =
      Tern({"classify", "--model", "sentiment", "--json", "--pair",
            "a man is eating", "someone eats"});
  ASSERT_EQ(arguments.exit_code, 0) << arguments.err;

  EXPECT_EQ(Tern({"classify", "--model", "sentiment", "--json", "--pair"},
                 "a man is eating\tsomeone eats\n")
                .out,
            arguments.out);
  EXPECT_NE(Tern({"classify", "--model", "sentiment", "--json",
                  "a man is eating someone eats"})
                .out,
            arguments.out);
}

TEST_F(ServingTest, CutsLongTextsAndSaysSoOrRefusesThem) {
  std::string text = "good";
  for (int i = 0; i < 500; ++i) absl::StrAppend(&text, " good");

  const CommandResult cut =
      Tern({"classify", "--model", "sentiment", "--json", text});
  ASSERT_EQ(cut.exit_code, 0) << cut.err;
  const auto results = ParseJsonLines<v1::ClassifyResult>(cut.out);
  ASSERT_EQ(results.size(), 1u);
  EXPECT_TRUE(results[0].truncated());
  EXPECT_EQ(results[0].token_count(), 128);

  ExpectError(
      Tern({"classify", "--model", "sentiment", "--refuse-long", "ok", text}),
      1, "argument 2: inputs[1].text: expected at most 128 tokens");
}

TEST_F(ServingTest, AnswersWithPiecesOfTheContext) {
  // Two-byte and four-byte characters, so bytes and code points differ, and
  // longer than the window, so there are several.
  std::string context = "é😀 ";
  for (int i = 0; i < 60; ++i) {
    absl::StrAppend(&context, "the bröncos won game ", i, ". ");
  }
  const std::string file = folder_.path() + "/context.txt";
  std::ofstream(file) << context;

  const CommandResult command =
      Tern({"answer", "--context", file, "--n-best", "5", "--json",
            "--doc-stride", "32", "who won?", "what game?"});

  ASSERT_EQ(command.exit_code, 0) << command.err;
  const auto results = ParseJsonLines<v1::AnswerResult>(command.out);
  ASSERT_EQ(results.size(), 2u);
  for (const v1::AnswerResult& result : results) {
    EXPECT_GT(result.window_count(), 1);
    ASSERT_GE(result.answers_size(), 1);
    ASSERT_LE(result.answers_size(), 5);
    double probability = result.no_answer_score();
    for (const v1::AnswerSpan& span : result.answers()) {
      ASSERT_LE(0, span.byte_start());
      ASSERT_LT(span.byte_start(), span.byte_end());
      ASSERT_LE(span.byte_end(), static_cast<int>(context.size()));
      EXPECT_EQ(span.text(),
                context.substr(span.byte_start(),
                               span.byte_end() - span.byte_start()));
      const auto code_points = [&](int bytes) {
        return std::count_if(
            context.begin(), context.begin() + bytes,
            [](char c) { return (static_cast<uint8_t>(c) & 0xC0) != 0x80; });
      };
      EXPECT_EQ(span.code_point_start(), code_points(span.byte_start()));
      EXPECT_EQ(span.code_point_end(), code_points(span.byte_end()));
      probability += span.score();
    }
    EXPECT_LE(probability, 1 + 1e-5);
    for (int i = 1; i < result.answers_size(); ++i) {
      EXPECT_LE(result.answers(i).logit(), result.answers(i - 1).logit());
    }
  }
}

TEST_F(ServingTest, ListsItsModels) {
  const CommandResult command = Tern({"models", "--json"});

  ASSERT_EQ(command.exit_code, 0) << command.err;
  const auto models = ParseJsonLines<v1::Model>(command.out);
  ASSERT_EQ(models.size(), 4u);
  EXPECT_EQ(models[0].name(), "sentiment");
  EXPECT_EQ(models[0].task(), v1::TASK_SINGLE_LABEL_CLASSIFICATION);
  EXPECT_EQ(models[0].precision(), v1::PRECISION_FP32);
  EXPECT_EQ(models[0].labels_size(), 3);
  EXPECT_EQ(models[0].max_tokens(), 128);
  EXPECT_EQ(models[1].name(), "squad");
  EXPECT_EQ(models[1].task(), v1::TASK_QUESTION_ANSWERING);
  EXPECT_EQ(models[2].task(), v1::TASK_REGRESSION);
  EXPECT_EQ(models[3].task(), v1::TASK_MULTI_LABEL_CLASSIFICATION);
}

TEST_F(ServingTest, SaysInOneLineWhatIsWrong) {
  ExpectError(Tern({"classify", "--model", "nosuch", "x"}), 1, "'nosuch'");
  ExpectError(Tern({"classify", "--model", "squad", "x"}), 1, "'squad'");
  ExpectError(Tern({"classify", "x"}), 1, "sentiment");  // which of three?
  ExpectError(Tern({"classify", "--model", "sentiment", "--model-version",
                    "nosuch", "x"}),
              1, "'nosuch'");
  ExpectError(Tern({"classify", "--model", "sentiment", "--top-k", "-2", "x"}),
              1, "top_k: expected at least 0, found -2");
  ExpectError(Tern({"answer", "--model", "squad", "--n-best", "1000",
                    "--context", "-", "who?"},
                   "they won"),
              1, "n_best: expected");
}

TEST_F(ServingTest, TellsItsHealth) {
  const CommandResult command = Tern({"health"});

  EXPECT_EQ(command.exit_code, 0) << command.err;
  EXPECT_EQ(command.out, "SERVING\n");
  EXPECT_EQ(Tern({"health", "--service", "tern.v1.InferenceService"}).exit_code,
            0);
  EXPECT_EQ(Tern({"health", "--service", "no.such.Service"}).exit_code, 1);
}

TEST(ServerProcessTest, ExplainsAModelThatItCannotLoad) {
  const auto server = ServerProcess::Start({"--model=x=/nonexistent"});

  ASSERT_FALSE(server.ok());
  EXPECT_THAT(server.status().message(), HasSubstr("ended with 1"));
  EXPECT_THAT(server.status().message(), HasSubstr("/nonexistent"));
}

TEST(ServerProcessTest, ExplainsAWrongFlag) {
  const auto server = ServerProcess::Start({"--nosuch=1"});

  ASSERT_FALSE(server.ok());
  EXPECT_THAT(server.status().message(), HasSubstr("ended with 2"));
  EXPECT_THAT(server.status().message(), HasSubstr("--nosuch"));
}

}  // namespace
}  // namespace tern

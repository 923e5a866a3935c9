// Answer against what transformers computed (script/make-goldens): windows,
// spans, offsets and scores, over gRPC.

#include <fstream>
#include <string>

#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/server/running_server.h"

namespace tern {
namespace {

// Logits of the two agree to 1e-4 (the bar of fp32-parity), so sums of two
// agree to twice that, and a score, exp(logit) over a sum of such, relatively
// to 4e-4 and so absolutely.
constexpr double kLogitTolerance = 2e-4;
constexpr double kScoreTolerance = 4e-4;

class GoldenAnswersTest : public ::testing::TestWithParam<const char*> {};

TEST_P(GoldenAnswersTest, AnswersAreThoseOfTransformers) {
  const std::string folder =
      std::string(TERN_SOURCE_DIR "/tests/model/goldens/") + GetParam();
  const nlohmann::json golden =
      nlohmann::json::parse(std::ifstream(folder + "/golden.json"));
  RunningServer running([&folder](Options& options) {
    options.models = {{.name = "golden", .folder = folder}};
  });

  ASSERT_FALSE(golden["questions"].empty());
  for (const nlohmann::json& question : golden["questions"]) {
    SCOPED_TRACE(question["question"]);
    v1::AnswerRequest request;
    request.set_n_best(question["n_best"]);
    request.set_max_answer_tokens(question["max_answer_tokens"]);
    request.set_max_window_tokens(question["max_window_tokens"]);
    request.set_doc_stride(question["doc_stride"]);
    request.add_inputs()->set_question(question["question"]);
    request.mutable_inputs(0)->set_context(question["context"]);
    grpc::ClientContext context;
    v1::AnswerResponse response;

    const grpc::Status status =
        running.inference->Answer(&context, request, &response);

    ASSERT_TRUE(status.ok()) << status.error_message();
    const v1::AnswerResult& result = response.results(0);
    EXPECT_EQ(result.window_count(), question["window_count"]);
    EXPECT_EQ(result.token_count(), question["token_count"]);
    EXPECT_NEAR(result.no_answer_logit(), question["no_answer_logit"],
                kLogitTolerance);
    EXPECT_NEAR(result.no_answer_score(), question["no_answer_score"],
                kScoreTolerance);
    ASSERT_EQ(result.answers_size(),
              static_cast<int>(question["answers"].size()));
    for (int i = 0; i < result.answers_size(); ++i) {
      const v1::AnswerSpan& span = result.answers(i);
      const nlohmann::json& expected = question["answers"][i];
      EXPECT_EQ(span.text(), expected["text"]);
      EXPECT_EQ(span.byte_start(), expected["byte_start"]);
      EXPECT_EQ(span.byte_end(), expected["byte_end"]);
      EXPECT_EQ(span.code_point_start(), expected["code_point_start"]);
      EXPECT_EQ(span.code_point_end(), expected["code_point_end"]);
      EXPECT_NEAR(span.logit(), expected["logit"], kLogitTolerance);
      EXPECT_NEAR(span.score(), expected["score"], kScoreTolerance);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Goldens, GoldenAnswersTest,
                         ::testing::Values("question-answering",
                                           "question-answering-old-names",
                                           "distilbert-question-answering",
                                           "mobilebert-question-answering"));

}  // namespace
}  // namespace tern

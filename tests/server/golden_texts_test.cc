// Classify and Embed against what transformers computed (script/make-goldens),
// over gRPC.

#include <cmath>
#include <cstring>
#include <fstream>
#include <string>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "inference/grpc_inference_service.grpc.pb.h"
#include "nlohmann/json.hpp"
#include "tests/server/running_server.h"

namespace tern {
namespace {

using ::testing::HasSubstr;

// The bar of fp32-parity; scores and vectors of length 1 differ less.
constexpr double kTolerance = 1e-4;

// Serves one folder of the goldens.
struct GoldenServer {
  explicit GoldenServer(const std::string& name)
      : folder(std::string(TERN_SOURCE_DIR "/tests/model/goldens/") + name),
        golden(nlohmann::json::parse(std::ifstream(folder + "/golden.json"))),
        running([this](Options& options) {
          options.models = {{.name = "golden", .folder = folder}};
        }) {}

  grpc::Status Embed(const v1::EmbedRequest& request,
                     v1::EmbedResponse& response) {
    grpc::ClientContext context;
    return running.inference->Embed(&context, request, &response);
  }

  const std::string folder;
  const nlohmann::json golden;
  RunningServer running;
};

class GoldenLabelsTest : public ::testing::TestWithParam<const char*> {};

INSTANTIATE_TEST_SUITE_P(Goldens, GoldenLabelsTest,
                         ::testing::Values("single-label-gelu",
                                           "multi-label-gelu-new",
                                           "regression-relu", "tinybert",
                                           "distilbert", "mobilebert",
                                           "mobilebert-layer-norm"));

TEST_P(GoldenLabelsTest, LabelsOfTextsAndPairsAreThoseOfTransformers) {
  GoldenServer server(GetParam());
  v1::ClassifyRequest request;
  request.set_return_logits(true);
  for (const auto& text : server.golden["texts"]) {
    v1::TextInput& input = *request.add_inputs();
    input.set_text(text["text"]);
    if (!text["text_pair"].is_null()) input.set_text_pair(text["text_pair"]);
  }
  grpc::ClientContext context;
  v1::ClassifyResponse response;
  const grpc::Status status =
      server.running.inference->Classify(&context, request, &response);

  ASSERT_TRUE(status.ok()) << status.error_message();
  ASSERT_GT(response.results_size(), 2);
  for (int i = 0; i < response.results_size(); ++i) {
    const auto& expected = server.golden["texts"][i];
    const v1::ClassifyResult& result = response.results(i);
    EXPECT_EQ(result.token_count(), expected["token_ids"].size());
    ASSERT_EQ(result.logits_size(), expected["logits"][0].size());
    for (int j = 0; j < result.logits_size(); ++j) {
      EXPECT_NEAR(result.logits(j), expected["logits"][0][j], kTolerance);
    }
    for (const v1::Label& label : result.labels()) {
      EXPECT_NEAR(label.score(), expected["scores"][label.index()], kTolerance);
    }
  }
}

class GoldenEmbeddingsTest : public ::testing::TestWithParam<const char*> {};

INSTANTIATE_TEST_SUITE_P(Goldens, GoldenEmbeddingsTest,
                         ::testing::Values("embedding-mean", "embedding-max",
                                           "embedding-cls-distilbert"));

TEST_P(GoldenEmbeddingsTest, VectorsAreThoseOfSentenceTransformers) {
  GoldenServer server(GetParam());
  v1::EmbedRequest request;
  for (const auto& embedding : server.golden["embeddings"]) {
    request.add_inputs()->set_text(embedding["text"]);
  }
  v1::EmbedResponse response;
  const grpc::Status status = server.Embed(request, response);

  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.model(), "golden");
  EXPECT_TRUE(response.timings().has_total());
  ASSERT_GT(response.results_size(), 2);
  for (int i = 0; i < response.results_size(); ++i) {
    const auto& expected = server.golden["embeddings"][i];
    const v1::EmbedResult& result = response.results(i);
    EXPECT_EQ(result.token_count(), expected["token_ids"].size());
    ASSERT_EQ(result.vector_size(), expected["vector"].size());
    for (int j = 0; j < result.vector_size(); ++j) {
      EXPECT_NEAR(result.vector(j), expected["vector"][j], kTolerance);
    }
  }
}

double Length(const v1::EmbedResult& result) {
  double squares = 0;
  for (const float value : result.vector()) squares += value * value;
  return std::sqrt(squares);
}

TEST(EmbedTest, ARequestMayChooseWhetherToNormalize) {
  // One that normalizes by itself, one that does not.
  for (const char* name : {"embedding-mean", "embedding-cls-distilbert"}) {
    GoldenServer server(name);
    v1::EmbedRequest request;
    request.add_inputs()->set_text("a gripping film");
    v1::EmbedResponse raw, normalized;
    request.set_normalize(false);
    ASSERT_TRUE(server.Embed(request, raw).ok());
    request.set_normalize(true);
    ASSERT_TRUE(server.Embed(request, normalized).ok());
    EXPECT_GT(Length(raw.results(0)), 1.5);
    EXPECT_NEAR(Length(normalized.results(0)), 1, 1e-6);
  }
}

TEST(EmbedTest, TheOpenInferenceProtocolGivesTheSameBits) {
  GoldenServer server("embedding-mean");
  const auto oip =
      inference::GRPCInferenceService::NewStub(server.running.channel);
  const auto& golden = server.golden["embeddings"][0];
  v1::EmbedRequest embed;
  embed.add_inputs()->set_text(golden["text"]);
  v1::EmbedResponse embedded;
  ASSERT_TRUE(server.Embed(embed, embedded).ok());
  const auto& vector = embedded.results(0).vector();

  inference::ModelInferRequest texts, tokens;
  texts.set_model_name("golden");
  auto& text = *texts.add_inputs();
  text.set_name("TEXT");
  text.set_datatype("BYTES");
  text.add_shape(1);
  text.mutable_contents()->add_bytes_contents(golden["text"]);
  tokens.set_model_name("golden");
  auto& ids = *tokens.add_inputs();
  ids.set_name("input_ids");
  ids.set_datatype("INT64");
  ids.add_shape(1);
  ids.add_shape(static_cast<int64_t>(golden["token_ids"].size()));
  for (const int64_t id : golden["token_ids"]) {
    ids.mutable_contents()->add_int64_contents(id);
  }

  for (const auto& [request, output] :
       {std::pair(texts, "EMBEDDING"),
        std::pair(tokens, "sentence_embedding")}) {
    grpc::ClientContext context;
    inference::ModelInferResponse response;
    const grpc::Status status = oip->ModelInfer(&context, request, &response);

    ASSERT_TRUE(status.ok()) << status.error_message();
    ASSERT_EQ(response.outputs_size(), 1);
    EXPECT_EQ(response.outputs(0).name(), output);
    EXPECT_THAT(response.outputs(0).shape(),
                ::testing::ElementsAre(1, vector.size()));
    const std::string& raw = response.raw_output_contents(0);
    ASSERT_EQ(raw.size(), vector.size() * sizeof(float));
    EXPECT_EQ(std::memcmp(raw.data(), vector.data(), raw.size()), 0);
  }
}

TEST(EmbedTest, CutsAtTheLengthOfTheModelOrRefuses) {
  GoldenServer server("embedding-mean");  // max_seq_length 12
  v1::EmbedRequest request;
  request.add_inputs()->set_text("good");
  request.add_inputs()->set_text("to be or not to be that is the question");
  v1::EmbedResponse response;
  ASSERT_TRUE(server.Embed(request, response).ok());
  EXPECT_FALSE(response.results(0).truncated());
  EXPECT_TRUE(response.results(1).truncated());
  EXPECT_EQ(response.results(1).token_count(), 12);

  request.set_truncation(v1::TRUNCATION_REFUSE);
  const grpc::Status refused = server.Embed(request, response);
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(refused.error_message(),
            "inputs[1].text: expected at most 12 tokens, found more; "
            "TRUNCATION_LONGEST_FIRST cuts it");
}

TEST(EmbedTest, RefusesAnEmptyTextNamingItsField) {
  GoldenServer server("embedding-mean");
  v1::EmbedRequest request;
  v1::EmbedResponse response;
  EXPECT_THAT(server.Embed(request, response).error_message(),
              HasSubstr("inputs: expected 1 to"));
  request.add_inputs()->set_text("good");
  request.add_inputs();
  EXPECT_EQ(server.Embed(request, response).error_message(),
            "inputs[1].text: expected a text, found an empty one");
}

TEST(EmbedTest, EachUseHasItsOwnModels) {
  GoldenServer embedder("embedding-mean");
  grpc::ClientContext context;
  v1::ClassifyResponse labels;
  const grpc::Status refused = embedder.running.inference->Classify(
      &context, MakeClassify({"good"}), &labels);
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(refused.error_message(), "no model for classification is served");

  RunningServer others;
  v1::EmbedRequest request;
  request.set_model("classifier");
  request.add_inputs()->set_text("good");
  grpc::ClientContext other_context;
  v1::EmbedResponse response;
  const grpc::Status status =
      others.inference->Embed(&other_context, request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(status.error_message(),
            "model 'classifier' is not made for embedding");
}

TEST(EmbedTest, ModelsAreListedWithTheirTaskAndLength) {
  GoldenServer server("embedding-mean");
  grpc::ClientContext context;
  v1::ListModelsResponse response;
  ASSERT_TRUE(server.running.models
                  ->ListModels(&context, v1::ListModelsRequest(), &response)
                  .ok());
  EXPECT_EQ(response.models(0).task(), v1::TASK_EMBEDDING);
  EXPECT_EQ(response.models(0).max_tokens(), 12);
  EXPECT_EQ(response.models(0).hidden_size(), 32);
}

}  // namespace
}  // namespace tern

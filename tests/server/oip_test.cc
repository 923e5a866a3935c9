// The Open Inference Protocol over a real loopback connection.

#include <cstring>
#include <functional>
#include <future>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "gmock/gmock.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/support/proto_buffer_reader.h"
#include "gtest/gtest.h"
#include "inference/grpc_inference_service.grpc.pb.h"
#include "server/metrics.h"
#include "server/model_registry.h"
#include "server/oip_model.h"
#include "tests/server/running_server.h"
#include "tokenizer/tokenizer.h"

namespace tern {
namespace {

using inference::GRPCInferenceService;
using inference::ModelInferRequest;
using inference::ModelInferResponse;
using inference::ModelStreamInferResponse;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// An input without its contents.
ModelInferRequest::InferInputTensor& AddInput(
    ModelInferRequest& request, const std::string& name,
    const std::string& datatype, const std::vector<int64_t>& shape) {
  auto& input = *request.add_inputs();
  input.set_name(name);
  input.set_datatype(datatype);
  input.mutable_shape()->Add(shape.begin(), shape.end());
  return input;
}

ModelInferRequest MakeTexts(const std::vector<std::string>& texts) {
  ModelInferRequest request;
  request.set_model_name("classifier");
  auto& input =
      AddInput(request, "TEXT", "BYTES", {static_cast<int64_t>(texts.size())});
  for (const std::string& text : texts) {
    input.mutable_contents()->add_bytes_contents(text);
  }
  return request;
}

std::string RawStrings(const std::vector<std::string>& texts) {
  std::string raw;
  for (const std::string& text : texts) {
    const auto length = static_cast<uint32_t>(text.size());
    raw.append(reinterpret_cast<const char*>(&length), sizeof(length));
    raw.append(text);
  }
  return raw;
}

template <typename T>
std::string RawValues(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()),
          values.size() * sizeof(T)};
}

// The index of an output of that name; fails the test where there is none.
int OutputIndex(const ModelInferResponse& response, const std::string& name) {
  for (int i = 0; i < response.outputs_size(); ++i) {
    if (response.outputs(i).name() == name) return i;
  }
  ADD_FAILURE() << "no output " << name;
  return 0;
}

std::vector<int64_t> ShapeOf(const ModelInferResponse& response,
                             const std::string& name) {
  const auto& shape = response.outputs(OutputIndex(response, name)).shape();
  return {shape.begin(), shape.end()};
}

template <typename T>
std::vector<T> ValuesOf(const ModelInferResponse& response,
                        const std::string& name) {
  const std::string& raw =
      response.raw_output_contents(OutputIndex(response, name));
  std::vector<T> values(raw.size() / sizeof(T));
  std::memcpy(values.data(), raw.data(), raw.size());
  return values;
}

std::vector<std::string> StringsOf(const ModelInferResponse& response,
                                   const std::string& name) {
  const std::string& raw =
      response.raw_output_contents(OutputIndex(response, name));
  std::vector<std::string> strings;
  for (size_t at = 0; at < raw.size();) {
    uint32_t length = 0;
    std::memcpy(&length, raw.data() + at, sizeof(length));
    strings.push_back(raw.substr(at + sizeof(length), length));
    at += sizeof(length) + length;
  }
  return strings;
}

class OipTest : public ::testing::Test {
 protected:
  ModelInferResponse Infer(const ModelInferRequest& request) {
    grpc::ClientContext context;
    ModelInferResponse response;
    const grpc::Status status = oip_->ModelInfer(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }

  grpc::Status InferStatus(const ModelInferRequest& request) {
    grpc::ClientContext context;
    ModelInferResponse response;
    return oip_->ModelInfer(&context, request, &response);
  }

  v1::ClassifyResponse Classify(const std::vector<std::string>& texts) {
    v1::ClassifyRequest request = MakeClassify(texts);
    request.set_return_logits(true);
    grpc::ClientContext context;
    v1::ClassifyResponse response;
    EXPECT_TRUE(
        running_.inference->Classify(&context, request, &response).ok());
    return response;
  }

  RunningServer running_;
  std::unique_ptr<GRPCInferenceService::Stub> oip_ =
      GRPCInferenceService::NewStub(running_.channel);
};

TEST_F(OipTest, TheServerDescribesItselfAndItsModels) {
  grpc::ClientContext live_context, ready_context, server_context,
      model_context, config_context, index_context;
  inference::ServerLiveResponse live;
  ASSERT_TRUE(oip_->ServerLive(&live_context, {}, &live).ok());
  EXPECT_TRUE(live.live());
  inference::ServerReadyResponse ready;
  ASSERT_TRUE(oip_->ServerReady(&ready_context, {}, &ready).ok());
  EXPECT_TRUE(ready.ready());
  inference::ServerMetadataResponse server;
  ASSERT_TRUE(oip_->ServerMetadata(&server_context, {}, &server).ok());
  EXPECT_EQ(server.name(), "tern");
  EXPECT_THAT(
      server.extensions(),
      ElementsAre("classification", "model_configuration", "statistics"));

  inference::ModelMetadataRequest which;
  which.set_name("classifier");
  inference::ModelMetadataResponse model;
  ASSERT_TRUE(oip_->ModelMetadata(&model_context, which, &model).ok());
  EXPECT_THAT(model.versions(), ElementsAre("1"));
  EXPECT_EQ(model.inputs(0).name(), "TEXT");
  EXPECT_EQ(model.inputs(0).datatype(), "BYTES");
  EXPECT_THAT(model.inputs(0).shape(), ElementsAre(-1, 1));
  EXPECT_EQ(model.outputs(2).name(), "LOGITS");
  EXPECT_THAT(model.outputs(2).shape(), ElementsAre(-1, 3));

  inference::ModelConfigRequest config_request;
  config_request.set_name("classifier");
  inference::ModelConfigResponse config;
  ASSERT_TRUE(oip_->ModelConfig(&config_context, config_request, &config).ok());
  EXPECT_EQ(config.config().max_batch_size(), 1024);
  EXPECT_EQ(config.config().input(0).data_type(), inference::TYPE_STRING);
  EXPECT_THAT(config.config().input(0).dims(), ElementsAre(1));
  EXPECT_EQ(config.config().parameters().at("precision").string_value(),
            "fp32");

  inference::RepositoryIndexResponse index;
  ASSERT_TRUE(oip_->RepositoryIndex(&index_context, {}, &index).ok());
  ASSERT_EQ(index.models_size(), 2);
  EXPECT_EQ(index.models(0).name(), "answerer");
  EXPECT_EQ(index.models(0).state(), "READY");
}

TEST_F(OipTest, OnlyAServedModelIsReady) {
  for (const auto& [name, version, expected] :
       std::vector<std::tuple<std::string, std::string, bool>>{
           {"classifier", "", true},
           {"classifier", "1", true},
           {"classifier", "2", false},
           {"other", "", false}}) {
    grpc::ClientContext context;
    inference::ModelReadyRequest request;
    request.set_name(name);
    request.set_version(version);
    inference::ModelReadyResponse response;

    ASSERT_TRUE(oip_->ModelReady(&context, request, &response).ok());

    EXPECT_EQ(response.ready(), expected) << name << " " << version;
  }
}

TEST_F(OipTest, TextsAreLabelledAsClassifyDoes) {
  const std::vector<std::string> texts = {"one", "two words", "three !"};
  const v1::ClassifyResponse expected = Classify(texts);
  const ModelInferRequest typed = MakeTexts(texts);
  ModelInferRequest raw;
  raw.set_model_name("classifier");
  raw.set_id("raw-7");
  AddInput(raw, "TEXT", "BYTES", {3, 1});
  raw.add_raw_input_contents(RawStrings(texts));

  for (const ModelInferRequest& request : {typed, raw}) {
    const ModelInferResponse response = Infer(request);

    EXPECT_EQ(response.model_name(), "classifier");
    EXPECT_EQ(response.model_version(), "1");
    EXPECT_EQ(response.id(), request.id());
    // Shapes are those of the texts.
    const auto& shape = request.inputs(0).shape();
    EXPECT_EQ(ShapeOf(response, "LABEL"),
              std::vector<int64_t>(shape.begin(), shape.end()));
    EXPECT_THAT(ShapeOf(response, "LOGITS"), ElementsAre(3, 3));
    const auto labels = StringsOf(response, "LABEL");
    const auto scores = ValuesOf<float>(response, "SCORE");
    const auto logits = ValuesOf<float>(response, "LOGITS");
    ASSERT_EQ(labels.size(), 3u);
    ASSERT_EQ(logits.size(), 9u);
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(labels[i], expected.results(i).labels(0).label());
      EXPECT_EQ(scores[i], expected.results(i).labels(0).score());
      for (int label = 0; label < 3; ++label) {
        EXPECT_EQ(logits[3 * i + label], expected.results(i).logits(label));
      }
    }
  }
}

TEST_F(OipTest, APairIsLabelledAsClassifyDoes) {
  v1::ClassifyRequest classify = MakeClassify({"first"});
  classify.mutable_inputs(0)->set_text_pair("second");
  classify.set_return_logits(true);
  grpc::ClientContext context;
  v1::ClassifyResponse expected;
  ASSERT_TRUE(running_.inference->Classify(&context, classify, &expected).ok());
  ModelInferRequest request = MakeTexts({"first"});
  AddInput(request, "TEXT_PAIR", "BYTES", {1})
      .mutable_contents()
      ->add_bytes_contents("second");

  const auto logits = ValuesOf<float>(Infer(request), "LOGITS");

  EXPECT_THAT(logits,
              ::testing::ElementsAreArray(expected.results(0).logits()));
}

TEST_F(OipTest, QuestionsAreAnsweredAsAnswerDoes) {
  const std::vector<std::string> questions = {"who came ?", "when ?"};
  const std::vector<std::string> contexts = {"a na\u00efve word and one more",
                                             "in the end , on a day"};
  v1::AnswerRequest answer;
  ModelInferRequest request;
  request.set_model_name("answerer");
  AddInput(request, "CONTEXT", "BYTES", {2, 1});
  request.add_raw_input_contents(RawStrings(contexts));
  AddInput(request, "QUESTION", "BYTES", {2, 1});
  request.add_raw_input_contents(RawStrings(questions));
  for (int i = 0; i < 2; ++i) {
    answer.add_inputs()->set_question(questions[i]);
    answer.mutable_inputs(i)->set_context(contexts[i]);
  }
  grpc::ClientContext context;
  v1::AnswerResponse expected;
  ASSERT_TRUE(running_.inference->Answer(&context, answer, &expected).ok());

  const ModelInferResponse response = Infer(request);

  for (int i = 0; i < 2; ++i) {
    const v1::AnswerResult& result = expected.results(i);
    EXPECT_EQ(StringsOf(response, "ANSWER")[i], result.answers(0).text());
    EXPECT_EQ(ValuesOf<float>(response, "SCORE")[i], result.answers(0).score());
    EXPECT_EQ(ValuesOf<float>(response, "NO_ANSWER_SCORE")[i],
              result.no_answer_score());
    EXPECT_EQ(ValuesOf<int32_t>(response, "START")[i],
              result.answers(0).code_point_start());
    EXPECT_EQ(ValuesOf<int32_t>(response, "END")[i],
              result.answers(0).code_point_end());
  }
}

// Two texts as padded rows of token ids.
struct Tokens {
  explicit Tokens(const std::string& model) {
    const auto tokenizer = *Tokenizer::Load(TinyFolder(model));
    const Encoding encodings[] = {*tokenizer->Encode("one", 128),
                                  *tokenizer->Encode("two words more", 128)};
    columns = static_cast<int64_t>(encodings[1].ids.size()) + 2;
    for (const Encoding& encoding : encodings) {
      lengths.push_back(encoding.ids.size());
      for (size_t i = 0; i < static_cast<size_t>(columns); ++i) {
        const bool shown = i < encoding.ids.size();
        ids.push_back(shown ? encoding.ids[i] : 0);
        mask.push_back(shown ? 1 : 0);
      }
    }
  }

  int64_t columns = 0;
  std::vector<size_t> lengths;
  std::vector<int64_t> ids, mask;
};

TEST_F(OipTest, TokenIdsGiveTheBitsOfTheirTexts) {
  const v1::ClassifyResponse expected = Classify({"one", "two words more"});
  const Tokens tokens("classifier");
  const std::vector<int64_t> shape = {2, tokens.columns};
  ModelInferRequest raw;
  raw.set_model_name("classifier");
  AddInput(raw, "input_ids", "INT64", shape);
  raw.add_raw_input_contents(RawValues(tokens.ids));
  AddInput(raw, "attention_mask", "INT64", shape);
  raw.add_raw_input_contents(RawValues(tokens.mask));
  AddInput(raw, "token_type_ids", "INT64", shape);
  raw.add_raw_input_contents(
      RawValues(std::vector<int64_t>(tokens.ids.size(), 0)));
  ModelInferRequest typed;
  typed.set_model_name("classifier");
  typed.add_outputs()->set_name("logits");
  auto& ids = AddInput(typed, "input_ids", "INT32", shape);
  auto& mask = AddInput(typed, "attention_mask", "INT64", shape);
  for (const int64_t id : tokens.ids) {
    ids.mutable_contents()->add_int_contents(static_cast<int32_t>(id));
  }
  for (const int64_t one : tokens.mask) {
    mask.mutable_contents()->add_int64_contents(one);
  }

  for (const ModelInferRequest& request : {raw, typed}) {
    const ModelInferResponse response = Infer(request);

    EXPECT_THAT(ShapeOf(response, "logits"), ElementsAre(2, 3));
    const auto logits = ValuesOf<float>(response, "logits");
    for (int i = 0; i < 6; ++i) {
      EXPECT_EQ(logits[i], expected.results(i / 3).logits(i % 3));
    }
  }
}

TEST_F(OipTest, PaddedPositionsOfAQuestionAnswererHaveTheLowestLogit) {
  const Tokens tokens("answerer");
  ModelInferRequest request;
  request.set_model_name("answerer");
  for (const auto& [name, values] :
       {std::pair("input_ids", tokens.ids), {"attention_mask", tokens.mask}}) {
    AddInput(request, name, "INT64", {2, tokens.columns});
    request.add_raw_input_contents(RawValues(values));
  }

  const ModelInferResponse response = Infer(request);

  for (const char* name : {"start_logits", "end_logits"}) {
    EXPECT_THAT(ShapeOf(response, name), ElementsAre(2, tokens.columns));
    const auto logits = ValuesOf<float>(response, name);
    for (size_t i = 0; i < logits.size(); ++i) {
      EXPECT_EQ(logits[i] == std::numeric_limits<float>::lowest(),
                tokens.mask[i] == 0);
    }
  }
}

TEST_F(OipTest, ClassificationReturnsTheBestClasses) {
  const v1::ClassifyResponse expected = Classify({"text"});
  ModelInferRequest request = MakeTexts({"text"});
  for (const auto& [name, count] : {std::pair("LOGITS", 2), {"SCORE", 99}}) {
    auto& output = *request.add_outputs();
    output.set_name(name);
    (*output.mutable_parameters())["classification"].set_int64_param(count);
  }

  const ModelInferResponse response = Infer(request);

  EXPECT_THAT(ShapeOf(response, "LOGITS"), ElementsAre(1, 2));
  EXPECT_THAT(ShapeOf(response, "SCORE"), ElementsAre(1, 3));
  const auto by_logit = StringsOf(response, "LOGITS");
  const auto by_score = StringsOf(response, "SCORE");
  for (int i = 0; i < 3; ++i) {
    const v1::Label& label = expected.results(0).labels(i);
    const std::string rest =
        absl::StrCat(":", label.index(), ":", label.label());
    EXPECT_EQ(by_score[i], std::to_string(label.score()) + rest);
    if (i == 2) continue;
    EXPECT_EQ(by_logit[i],
              std::to_string(expected.results(0).logits(label.index())) + rest);
  }
}

TEST_F(OipTest, ARequestPastItsTimeoutIsExpired) {
  const auto cores = running_.HoldAllCores();
  ModelInferRequest request = MakeTexts({"text"});
  (*request.mutable_parameters())["timeout"].set_int64_param(1);

  EXPECT_EQ(InferStatus(request).error_code(),
            grpc::StatusCode::DEADLINE_EXCEEDED);
}

TEST_F(OipTest, ABadRequestIsRefusedInTritonsWords) {
  const std::vector<
      std::pair<std::string, std::function<void(ModelInferRequest&)>>>
      calls = {
          {"[request id: 5] expected number of inputs between 1 and 2 but got "
           "0 inputs for model 'classifier'. Got input(s) [], but missing "
           "required input(s) ['TEXT']. Please provide all required input(s).",
           [](auto& request) {
             request.set_id("5");
             request.clear_inputs();
           }},
          {"unexpected inference input 'INPUT0' for model 'classifier'",
           [](auto& request) {
             request.mutable_inputs(0)->set_name("INPUT0");
           }},
          {"input 'TEXT' already exists in request",
           [](auto& request) { *request.add_inputs() = request.inputs(0); }},
          {"inference input 'TEXT' data-type is 'FP32', but model "
           "'classifier' expects 'BYTES'",
           [](auto& request) {
             request.mutable_inputs(0)->set_datatype("FP32");
           }},
          {"unexpected shape for input 'TEXT' for model 'classifier'. Expected "
           "[-1,1], got [1,2]",
           [](auto& request) { request.mutable_inputs(0)->add_shape(2); }},
          {"Expected [-1,1], got []",
           [](auto& request) { request.mutable_inputs(0)->clear_shape(); }},
          {"batch-size must be 1 to 1024 for 'classifier', got 1025",
           [](auto& request) {
             request.mutable_inputs(0)->set_shape(0, 1025);
           }},
          {"unexpected number of string elements 1 for inference input 'TEXT' "
           "for model 'classifier' with shape [2]",
           [](auto& request) { request.mutable_inputs(0)->set_shape(0, 2); }},
          {"contents field must not be specified when using "
           "raw_input_contents for 'TEXT' for model 'classifier'",
           [](auto& request) { request.add_raw_input_contents("x"); }},
          {"expecting 4 bytes but only 3 bytes available",
           [](auto& request) {
             request.mutable_inputs(0)->clear_contents();
             request.add_raw_input_contents("abc");
           }},
          {"expecting string of length 9 but only 2 bytes available",
           [](auto& request) {
             request.mutable_inputs(0)->clear_contents();
             request.add_raw_input_contents(std::string("\x09\0\0\0ab", 6));
           }},
          {"raw_input_contents: expected one for each of 1 inputs",
           [](auto& request) {
             request.mutable_inputs(0)->clear_contents();
             request.add_raw_input_contents("");
             request.add_raw_input_contents("");
           }},
          {"'TEXT_PAIR' batch size does not match",
           [](auto& request) { AddInput(request, "TEXT_PAIR", "BYTES", {2}); }},
          {"unexpected inference output 'OUTPUT0' for model 'classifier'",
           [](auto& request) { request.add_outputs()->set_name("OUTPUT0"); }},
          {"output 'LABEL' for model 'classifier': expected once, found it "
           "again",
           [](auto& request) {
             for (int i = 0; i < 2; ++i) {
               request.add_outputs()->set_name("LABEL");
             }
           }},
          {"output 'LABEL' for model 'classifier': expected a classification",
           [](auto& request) {
             request.add_outputs()->set_name("LABEL");
             (*request.mutable_outputs(0)
                   ->mutable_parameters())["classification"]
                 .set_int64_param(1);
           }},
          {"parameter 'timeout': expected an integer",
           [](auto& request) {
             (*request.mutable_parameters())["timeout"].set_string_param("1");
           }},
          {"inputs[0].text: expected a text, found an empty one",
           [](auto& request) {
             request.mutable_inputs(0)->mutable_contents()->set_bytes_contents(
                 0, "");
           }},
          {"inputs[0].text",
           [](auto& request) {
             request.mutable_inputs(0)->mutable_contents()->set_bytes_contents(
                 0, "\xff");
           }},
          {"unexpected inference input 'TEXT'",
           [](auto& request) {
             AddInput(request, "input_ids", "INT64", {1, 3});
           }},
      };
  for (const auto& [message, spoil] : calls) {
    ModelInferRequest request = MakeTexts({"good"});
    spoil(request);

    const grpc::Status status = InferStatus(request);

    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_THAT(status.error_message(), HasSubstr(message));
  }
  EXPECT_EQ(running_.server->scheduler().counts().accepted, 0);
}

TEST_F(OipTest, BadTokensAreRefusedByName) {
  struct Case {
    std::string message;
    std::vector<int64_t> ids, mask, types = {};
  };
  for (const Case& bad : std::vector<Case>{
           {"attention_mask: expected ones, then zeros", {2, 5, 3}, {0, 1, 1}},
           {"attention_mask: expected ones, then zeros", {2, 5, 3}, {0, 0, 0}},
           {"attention_mask: expected ones, then zeros", {2, 5, 3}, {1, 2, 0}},
           {"input_ids: expected 0 to", {2, 1000000, 3}, {1, 1, 1}},
           {"input_ids: expected 0 to", {2, -1, 3}, {1, 1, 1}},
           {"token_type_ids: expected 0 to 1, found 2 at [0,1]",
            {2, 5, 3},
            {1, 1, 1},
            {0, 2, 0}},
           {"input_ids: expected at most 128 tokens, found 129 in row 0",
            std::vector<int64_t>(129, 5), std::vector<int64_t>(129, 1)},
           {"attention_mask: expected the shape of input_ids, found [1,2]",
            {2, 5, 3},
            {1, 1}}}) {
    ModelInferRequest request;
    request.set_model_name("classifier");
    for (const auto& [name, values] : {std::pair("input_ids", bad.ids),
                                       {"attention_mask", bad.mask},
                                       {"token_type_ids", bad.types}}) {
      if (values.empty()) continue;
      AddInput(request, name, "INT64",
               {1, static_cast<int64_t>(values.size())});
      request.add_raw_input_contents(RawValues(values));
    }

    const grpc::Status status = InferStatus(request);

    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_THAT(status.error_message(), HasSubstr(bad.message));
  }
}

TEST_F(OipTest, AnUnknownModelIsNotFound) {
  ModelInferRequest request = MakeTexts({"text"});
  request.set_model_name("other");
  const grpc::Status unknown = InferStatus(request);
  EXPECT_EQ(unknown.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(unknown.error_message(),
            "Request for unknown model: 'other' is not found");
  request.set_model_name("classifier");
  request.set_model_version("9");
  EXPECT_EQ(InferStatus(request).error_message(),
            "Request for unknown model: 'classifier' version 9 is not found");
}

TEST_F(OipTest, StatisticsCountCallsAndBatches) {
  Infer(MakeTexts({"one", "two"}));
  InferStatus(MakeTexts({""}));
  grpc::ClientContext context;
  inference::ModelStatisticsRequest request;
  request.set_name("classifier");
  inference::ModelStatisticsResponse response;

  ASSERT_TRUE(oip_->ModelStatistics(&context, request, &response).ok());

  ASSERT_EQ(response.model_stats_size(), 1);
  const inference::ModelStatistics& statistics = response.model_stats(0);
  EXPECT_EQ(statistics.inference_count(), 2);
  EXPECT_GE(statistics.execution_count(), 1);
  EXPECT_EQ(statistics.inference_stats().success().count(), 1);
  EXPECT_EQ(statistics.inference_stats().fail().count(), 1);
  EXPECT_EQ(statistics.inference_stats().compute_infer().count(), 1);
  EXPECT_GT(statistics.inference_stats().compute_infer().ns(), 0);
}

TEST(OipModelTest, StatisticsOfALabelAreItsVersionsAndTheNewestHasThemAll) {
  ModelRegistry models;
  Metrics metrics(nullptr);
  for (const auto& [name, version] :
       {std::pair("classifier", "1"), {"classifier", "2"}, {"other", "1"}}) {
    const auto model = LoadServedModel(
        {.name = name, .version = version, .folder = TinyFolder("classifier")},
        true);
    ASSERT_TRUE(model.ok()) << model.status();
    ASSERT_TRUE(models.Add(*model).ok());
    metrics.ObserveCall("ModelInfer", model->get(), absl::StatusCode::kOk,
                        {.total = absl::Seconds(1)});
  }
  models.SetLabels({{{"classifier", "stable"}, "1"}});

  const auto stable =
      OipModelStatistics(models, metrics, "classifier", "stable");
  const auto all = OipModelStatistics(models, metrics, "", "");

  ASSERT_TRUE(stable.ok()) << stable.status();
  ASSERT_EQ(stable->model_stats_size(), 1);
  EXPECT_EQ(stable->model_stats(0).version(), "1");
  ASSERT_TRUE(all.ok()) << all.status();
  std::vector<uint64_t> answered;
  for (const auto& statistics : all->model_stats()) {
    answered.push_back(statistics.inference_stats().success().count());
  }
  EXPECT_THAT(answered, ElementsAre(0, 2, 1));
}

TEST_F(OipTest, AStreamAnswersInOrderAndOutlivesABadRequest) {
  constexpr int kRequests = 600;  // more than it holds at a time
  grpc::ClientContext context;
  const auto stream = oip_->ModelStreamInfer(&context);
  auto writer = std::async(std::launch::async, [&] {
    for (int i = 0; i < kRequests; ++i) {
      ModelInferRequest request = MakeTexts({absl::StrCat("text ", i)});
      request.set_id(absl::StrCat(i));
      if (i % 7 == 3) request.set_model_name("other");
      (*request.mutable_parameters())["triton_enable_empty_final_response"]
          .set_bool_param(i % 2 == 0);
      EXPECT_TRUE(stream->Write(request));
    }
    stream->WritesDone();
  });

  int answered = 0;
  for (ModelStreamInferResponse response; stream->Read(&response); ++answered) {
    EXPECT_EQ(response.infer_response().id(), absl::StrCat(answered));
    EXPECT_EQ(response.error_message(),
              answered % 7 == 3
                  ? "Request for unknown model: 'other' is not found"
                  : "");
    EXPECT_EQ(response.infer_response().outputs_size(),
              answered % 7 == 3 ? 0 : 3);
    EXPECT_EQ(response.infer_response().parameters().contains(
                  "triton_final_response"),
              answered % 2 == 0);
  }

  writer.get();
  EXPECT_EQ(answered, kRequests);
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(OipTest, AStreamAnswersBytesThatAreNoMessageAndGoesOn) {
  const auto bytes_of = [](const std::string& text) {
    const grpc::Slice slice(text);
    return grpc::ByteBuffer(&slice, 1);
  };
  grpc::ClientContext context;
  grpc::CompletionQueue queue;
  grpc::GenericStub stub(running_.channel);
  const auto stream = stub.PrepareCall(
      &context, "/inference.GRPCInferenceService/ModelStreamInfer", &queue);
  const auto done = [&queue] {
    void* tag = nullptr;
    bool ok = false;
    return queue.Next(&tag, &ok) && ok;
  };
  stream->StartCall(nullptr);
  ASSERT_TRUE(done());
  for (const std::string& request :
       {std::string("\xff\xff"), MakeTexts({"text"}).SerializeAsString()}) {
    stream->Write(bytes_of(request), nullptr);
    ASSERT_TRUE(done());
  }
  stream->WritesDone(nullptr);
  ASSERT_TRUE(done());
  for (const char* error : {"expected a inference.ModelInferRequest, found "
                            "bytes that are none",
                            ""}) {
    grpc::ByteBuffer bytes;
    stream->Read(&bytes, nullptr);
    ASSERT_TRUE(done());
    ModelStreamInferResponse response;
    grpc::ProtoBufferReader reader(&bytes);
    ASSERT_TRUE(response.ParseFromZeroCopyStream(&reader));
    EXPECT_EQ(response.error_message(), error);
  }
  grpc::Status status;
  stream->Finish(&status, nullptr);
  ASSERT_TRUE(done());
  EXPECT_TRUE(status.ok()) << status.error_message();
}

TEST_F(OipTest, AStreamThatHoldsManyBytesIsNotReadFrom) {
  constexpr int kRequests = 40;
  constexpr int kHeld = 16;  // of a MiB each
  auto cores = running_.HoldAllCores();
  grpc::ClientContext context;
  const auto stream = oip_->ModelStreamInfer(&context);
  auto writer = std::async(std::launch::async, [&] {
    ModelInferRequest request = MakeTexts({"text"});
    request.set_id(std::string(1 << 20, 'x'));
    for (int i = 0; i < kRequests; ++i) EXPECT_TRUE(stream->Write(request));
    stream->WritesDone();
  });
  running_.AwaitAccepted(kHeld);

  absl::SleepFor(absl::Milliseconds(200));  // in which more would come

  EXPECT_EQ(running_.server->scheduler().counts().accepted, kHeld);
  cores.clear();
  int answered = 0;
  for (ModelStreamInferResponse response; stream->Read(&response); ++answered) {
    EXPECT_EQ(response.error_message(), "");
  }
  writer.get();
  EXPECT_EQ(answered, kRequests);
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(OipTest, AStreamKeepsNothingOfARequestThatHasEnded) {
  const auto cores = running_.HoldAllCores();
  const auto model = *running_.server->models().Find("answerer", "");
  const auto uses = model.use_count();
  grpc::ClientContext context;
  const auto stream = oip_->ModelStreamInfer(&context);
  ModelInferRequest bad;  // refused once its model has been found
  bad.set_model_name("answerer");

  // The first has all others wait to be answered.
  for (const ModelInferRequest& request :
       {MakeTexts({"first"}), bad, bad, MakeTexts({"last"})}) {
    ASSERT_TRUE(stream->Write(request));
  }
  running_.AwaitAccepted(2);

  const absl::Time give_up = absl::Now() + absl::Seconds(20);
  while (model.use_count() > uses) {
    ASSERT_LT(absl::Now(), give_up);
    absl::SleepFor(absl::Milliseconds(1));
  }
  context.TryCancel();
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

TEST_F(OipTest, TheTimeOfAStreamedRequestBeginsWhenItComes) {
  grpc::ClientContext context, statistics_context;
  const auto stream = oip_->ModelStreamInfer(&context);
  absl::SleepFor(absl::Seconds(1));
  ASSERT_TRUE(stream->Write(MakeTexts({"text"})));
  stream->WritesDone();
  ModelStreamInferResponse response;
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_TRUE(stream->Finish().ok());

  inference::ModelStatisticsRequest request;
  request.set_name("classifier");
  inference::ModelStatisticsResponse statistics;
  ASSERT_TRUE(
      oip_->ModelStatistics(&statistics_context, request, &statistics).ok());
  const auto& success = statistics.model_stats(0).inference_stats().success();
  EXPECT_EQ(success.count(), 1);
  EXPECT_LT(absl::Nanoseconds(success.ns()), absl::Milliseconds(500));
}

TEST_F(OipTest, ACancelledStreamLeavesNothingInFlight) {
  auto cores = running_.HoldAllCores();
  grpc::ClientContext context;
  const auto stream = oip_->ModelStreamInfer(&context);
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(stream->Write(MakeTexts({"text"})));
  running_.AwaitAccepted(5);

  context.TryCancel();

  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
  const Scheduler::Counts counts = running_.AwaitNoneInFlight();
  EXPECT_EQ(counts.cancelled, 5);
}

// Workers end its calls meanwhile, the last of which finishes the stream: for
// the sanitizers.
TEST_F(OipTest, AStreamIsNotFreedUnderTheWorkerThatFinishesIt) {
  for (int i = 0; i < 200; ++i) {
    grpc::ClientContext context;
    const auto stream = oip_->ModelStreamInfer(&context);
    for (int j = 0; j < 4; ++j) ASSERT_TRUE(stream->Write(MakeTexts({"text"})));
    absl::SleepFor(absl::Microseconds(20 * i));

    context.TryCancel();

    EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
  }
  const Scheduler::Counts counts = running_.AwaitNoneInFlight();
  EXPECT_EQ(counts.failed + counts.expired, 0);
}

TEST_F(OipTest, ADrainAnswersWhatAStreamHasSentAndEndsIt) {
  auto cores = running_.HoldAllCores();
  grpc::ClientContext context;
  const auto stream = oip_->ModelStreamInfer(&context);
  ASSERT_TRUE(stream->Write(MakeTexts({"text"})));
  running_.AwaitAccepted(1);

  auto drained =
      std::async(std::launch::async, [this] { running_.server->Drain(); });
  cores.clear();

  ModelStreamInferResponse response;
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.error_message(), "");
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  drained.get();
}

}  // namespace
}  // namespace tern

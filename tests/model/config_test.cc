#include "model/config.h"

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/tiny_model.h"

namespace tern {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ConfigTest : public ::testing::Test {
 protected:
  const std::string folder_ = ::testing::TempDir() + "config_test";

  ~ConfigTest() override { std::filesystem::remove_all(folder_); }

  absl::StatusOr<BertConfig> LoadText(const std::string& text) {
    std::filesystem::create_directories(folder_);
    std::ofstream(folder_ + "/config.json") << text;
    return LoadConfig(folder_);
  }

  // BERT-base, fine-tuned, with `changes` as a JSON merge patch (null removes).
  absl::StatusOr<BertConfig> Load(const std::string& changes) {
    nlohmann::json config = nlohmann::json::parse(R"({
      "architectures": ["BertForSequenceClassification"],
      "model_type": "bert", "hidden_act": "gelu", "hidden_size": 768,
      "intermediate_size": 3072, "layer_norm_eps": 1e-12,
      "max_position_embeddings": 512, "num_attention_heads": 12,
      "num_hidden_layers": 12, "type_vocab_size": 2, "vocab_size": 30522,
      "id2label": {"0": "no", "1": "yes", "2": "maybe"}})");
    config.merge_patch(nlohmann::json::parse(changes));
    return LoadText(config.dump());
  }
};

TEST_F(ConfigTest, ReadsEverySize) {
  const BertConfig config = Load("{}").value();
  EXPECT_EQ(config.layers, 12);
  EXPECT_EQ(config.hidden_size, 768);
  EXPECT_EQ(config.heads, 12);
  EXPECT_EQ(config.head_dim(), 64);
  EXPECT_EQ(config.intermediate_size, 3072);
  EXPECT_EQ(config.vocabulary_size, 30522);
  EXPECT_EQ(config.max_positions, 512);
  EXPECT_EQ(config.type_vocabulary_size, 2);
  EXPECT_EQ(config.layer_norm_epsilon, 1e-12f);
  EXPECT_EQ(config.activation, Activation::kGelu);
  EXPECT_FALSE(config.ternary);
  EXPECT_EQ(config.task, Task::kSingleLabel);
  EXPECT_THAT(config.labels, ElementsAre("no", "yes", "maybe"));
  EXPECT_EQ(config.outputs(), 3);
}

TEST_F(ConfigTest, ReadsEveryTask) {
  EXPECT_EQ(Load(R"({"problem_type":"multi_label_classification"})")->task,
            Task::kMultiLabel);
  EXPECT_EQ(Load(R"({"problem_type":"single_label_classification"})")->task,
            Task::kSingleLabel);
  EXPECT_EQ(Load(R"({"problem_type":"regression"})")->task, Task::kRegression);
  const BertConfig answers =
      Load(R"({"architectures":["BertForQuestionAnswering"],"id2label":null})")
          .value();
  EXPECT_EQ(answers.task, Task::kQuestionAnswering);
  EXPECT_EQ(answers.outputs(), 2);
  EXPECT_THAT(answers.labels, IsEmpty());
}

TEST_F(ConfigTest, OneLabelMeansRegressionUnlessItSaysOtherwise) {
  EXPECT_EQ(Load(R"({"id2label":{"0":"x","1":null,"2":null}})")->task,
            Task::kRegression);
  EXPECT_EQ(Load(R"({"id2label":{"0":"x","1":null,"2":null},
                     "problem_type":"multi_label_classification"})")
                ->task,
            Task::kMultiLabel);
}

TEST_F(ConfigTest, LabelsComeInNumericOrder) {
  nlohmann::json labels;
  std::vector<std::string> expected;
  for (int i = 0; i < 12; ++i) {
    labels["id2label"][absl::StrCat(i)] = absl::StrCat("label ", i);
    expected.push_back(absl::StrCat("label ", i));
  }
  EXPECT_EQ(Load(labels.dump())->labels, expected);
}

TEST_F(ConfigTest, FillsInWhatHuggingFaceLeavesOut) {
  const BertConfig config =
      Load(R"({"id2label":null,"hidden_act":null,"layer_norm_eps":null,
               "model_type":null})")
          .value();
  EXPECT_THAT(config.labels, ElementsAre("LABEL_0", "LABEL_1"));
  EXPECT_EQ(config.activation, Activation::kGelu);
  EXPECT_EQ(config.layer_norm_epsilon, 1e-12f);
  EXPECT_THAT(Load(R"({"id2label":null,"num_labels":3})")->labels,
              ElementsAre("LABEL_0", "LABEL_1", "LABEL_2"));
}

TEST_F(ConfigTest, ReadsEveryActivation) {
  EXPECT_EQ(Load(R"({"hidden_act":"gelu_new"})")->activation,
            Activation::kGeluTanh);
  EXPECT_EQ(Load(R"({"hidden_act":"gelu_pytorch_tanh"})")->activation,
            Activation::kGeluTanh);
  EXPECT_EQ(Load(R"({"hidden_act":"relu"})")->activation, Activation::kRelu);
}

// DistilBERT-base, fine-tuned, with `changes` as a JSON merge patch.
nlohmann::json DistilBert(const std::string& changes) {
  nlohmann::json config = nlohmann::json::parse(R"({
    "architectures": ["DistilBertForSequenceClassification"],
    "model_type": "distilbert", "activation": "relu", "dim": 768,
    "hidden_dim": 3072, "max_position_embeddings": 512, "n_heads": 12,
    "n_layers": 6, "sinusoidal_pos_embds": false, "vocab_size": 30522})");
  config.merge_patch(nlohmann::json::parse(changes));
  return config;
}

TEST_F(ConfigTest, ReadsDistilBertByItsOwnKeys) {
  const BertConfig config = LoadText(DistilBert("{}").dump()).value();
  EXPECT_EQ(config.family, Family::kDistilBert);
  EXPECT_EQ(config.task, Task::kSingleLabel);
  EXPECT_EQ(config.layers, 6);
  EXPECT_EQ(config.hidden_size, 768);
  EXPECT_EQ(config.heads, 12);
  EXPECT_EQ(config.intermediate_size, 3072);
  EXPECT_EQ(config.max_positions, 512);
  EXPECT_EQ(config.type_vocabulary_size, 0);
  EXPECT_TRUE(config.takes_pairs());
  EXPECT_EQ(config.activation, Activation::kRelu);
}

TEST_F(ConfigTest, RefusesBadDistilBertNamingItsOwnKeys) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"dim":null})", "'dim': expected an integer"},
      {R"({"n_heads":7})", "'dim': expected a multiple of n_heads, 7"},
      {R"({"activation":"swish"})", "'activation': expected gelu"},
      {R"({"architectures":["BertForSequenceClassification"]})",
       R"(expected ["DistilBertForSequenceClassification"])"}};
  for (const auto& [changes, problem] : cases) {
    const absl::Status status = LoadText(DistilBert(changes).dump()).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(problem));
  }
}

// google/mobilebert-uncased, fine-tuned, with `changes` as a JSON merge patch.
nlohmann::json MobileBert(const std::string& changes) {
  nlohmann::json config = nlohmann::json::parse(R"({
    "architectures": ["MobileBertForSequenceClassification"],
    "model_type": "mobilebert", "classifier_activation": false,
    "embedding_size": 128, "hidden_act": "relu", "hidden_size": 512,
    "intermediate_size": 512, "intra_bottleneck_size": 128,
    "key_query_shared_bottleneck": true, "layer_norm_eps": 1e-12,
    "max_position_embeddings": 512, "normalization_type": "no_norm",
    "num_attention_heads": 4, "num_feedforward_networks": 4,
    "num_hidden_layers": 24, "trigram_input": true, "true_hidden_size": 128,
    "type_vocab_size": 2, "use_bottleneck": true,
    "use_bottleneck_attention": false, "vocab_size": 30522})");
  config.merge_patch(nlohmann::json::parse(changes));
  return config;
}

TEST_F(ConfigTest, ReadsMobileBert) {
  const BertConfig config = LoadText(MobileBert("{}").dump()).value();
  EXPECT_EQ(config.family, Family::kMobileBert);
  EXPECT_EQ(config.task, Task::kSingleLabel);
  EXPECT_EQ(config.hidden_size, 512);
  EXPECT_EQ(config.attention_size(), 128);
  EXPECT_EQ(config.head_dim(), 32);
  EXPECT_EQ(config.activation, Activation::kRelu);
  EXPECT_FALSE(config.layer_norm);
  EXPECT_EQ(config.mobilebert.word_size, 128);
  EXPECT_EQ(config.mobilebert.bottleneck_size, 128);
  EXPECT_EQ(config.mobilebert.feed_forwards, 4);
  EXPECT_FALSE(config.mobilebert.attends_bottleneck);
  EXPECT_FALSE(config.mobilebert.pooler);
}

TEST_F(ConfigTest, FillsInWhatMobileBertLeavesOut) {
  const std::string bare = MobileBert(R"({"classifier_activation":null,
      "hidden_act":null, "key_query_shared_bottleneck":null,
      "normalization_type":null, "trigram_input":null, "use_bottleneck":null,
      "true_hidden_size":null, "use_bottleneck_attention":null})")
                               .dump();
  const BertConfig config = LoadText(bare).value();
  EXPECT_EQ(config.activation, Activation::kRelu);
  EXPECT_FALSE(config.layer_norm);
  EXPECT_FALSE(config.mobilebert.attends_bottleneck);
  EXPECT_TRUE(config.mobilebert.pooler);
}

TEST_F(ConfigTest, RefusesMobileBertsThatNobodyPublished) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"trigram_input":false})", "'trigram_input': expected true"},
      {R"({"trigram_input":3})", "'trigram_input': expected true or false"},
      {R"({"use_bottleneck":false})", "'use_bottleneck': expected true"},
      {R"({"key_query_shared_bottleneck":false})",
       "'key_query_shared_bottleneck': expected true, or"},
      {R"({"normalization_type":"rms_norm"})",
       "'normalization_type': expected no_norm or layer_norm, found"},
      {R"({"num_feedforward_networks":0})",
       "'num_feedforward_networks': expected an integer"},
      {R"({"embedding_size":null})", "'embedding_size': expected an integer"},
      {R"({"intra_bottleneck_size":126})",
       "'intra_bottleneck_size': expected a multiple of num_attention_heads"}};
  for (const auto& [changes, problem] : cases) {
    const absl::Status status = LoadText(MobileBert(changes).dump()).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(problem));
  }
}

TEST_F(ConfigTest, RefusesOtherFamiliesByTheirModelType) {
  for (const char* type :
       {"roberta", "albert", "electra", "deberta-v2", "modernbert", "mpnet"}) {
    const absl::Status status =
        Load(absl::StrCat(R"({"model_type":")", type, R"("})")).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    EXPECT_THAT(std::string(status.message()),
                HasSubstr(absl::StrCat(
                    R"('model_type': expected "bert", "distilbert" or )",
                    R"("mobilebert", found ")", type, R"(")")));
  }
}

TEST_F(ConfigTest, KnowsTernaryFolders) {
  EXPECT_TRUE(Load(R"({"quantization_config":
                       {"quant_method":"tern","version":1,"bits":2}})")
                  ->ternary);
}

TEST_F(ConfigTest, MissingFileIsNotFound) {
  const absl::Status status = LoadConfig(folder_).status();
  EXPECT_TRUE(absl::IsNotFound(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("/config.json"));
}

TEST_F(ConfigTest, RefusesWhatIsNoJsonObject) {
  for (const char* text : {"", "{", "[]", "3", "{\"a\": 1, \"a\": 2}"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(LoadText(text).status())) << text;
  }
}

struct BadConfig {
  const char* changes;
  const char* problem;
};

constexpr BadConfig kBadConfigs[] = {
    {R"({"model_type":"roberta"})",
     R"('model_type': expected "bert", "distilbert" or "mobilebert", found )"
     R"("roberta")"},
    {R"({"architectures":["BertForMaskedLM"]})", "'architectures': expected"},
    {R"({"architectures":null})", "'architectures': expected"},
    {R"({"num_hidden_layers":null})",
     "'num_hidden_layers': expected an integer from 1 to 1024, "
     "found null"},
    {R"({"hidden_size":0})", "'hidden_size'"},
    {R"({"hidden_size":-768})", "'hidden_size'"},
    {R"({"hidden_size":768.0})", "found 768.0"},
    {R"({"hidden_size":"768"})", R"(found "768")"},
    {R"({"vocab_size":18446744073709551615})", "'vocab_size'"},
    {R"({"vocab_size":1e30})", "'vocab_size'"},
    {R"({"max_position_embeddings":false})", "'max_position_embeddings'"},
    {R"({"intermediate_size":[]})", "'intermediate_size'"},
    {R"({"type_vocab_size":0})", "'type_vocab_size'"},
    {R"({"num_attention_heads":7})",
     "'hidden_size': expected a multiple of num_attention_heads, "
     "7, found 768"},
    {R"({"hidden_act":"swish"})", R"(found "swish")"},
    {R"({"layer_norm_eps":0})", "'layer_norm_eps'"},
    {R"({"layer_norm_eps":"tiny"})", "'layer_norm_eps'"},
    {R"({"layer_norm_eps":1e-50})", "'layer_norm_eps'"},  // 0 as a float
    {R"({"hidden_size":65537})", "an integer from 1 to 65536"},
    {R"({"hidden_size":65536,"num_attention_heads":1})",
     "'hidden_size': expected at most 32768 for each of num_attention_heads"},
    {R"({"max_position_embeddings":32769})", "an integer from 1 to 32768"},
    {R"({"max_position_embeddings":2})",
     "'max_position_embeddings': expected at least 3, found 2"},
    {R"({"architectures":["BertForQuestionAnswering"],"id2label":null,
         "max_position_embeddings":5})",
     "'max_position_embeddings': expected at least 6, found 5"},
    {R"({"architectures":["BertForQuestionAnswering"],"id2label":null,
         "type_vocab_size":1})",
     "'type_vocab_size': expected at least 2 for question answering"},
    {R"({"position_embedding_type":"relative_key"})",
     "'position_embedding_type'"},
    {R"({"is_decoder":true})", "'is_decoder'"},
    {R"({"pruned_heads":{"0":[1]}})", "'pruned_heads'"},
    {R"({"problem_type":"ranking"})", "'problem_type'"},
    {R"({"id2label":{"1":null}})", R"(found null for "1")"},
    {R"({"id2label":{"2":7}})", R"(found 7 for "2")"},
    {R"({"id2label":["no","yes"]})", "'id2label'"},
    {R"({"id2label":{"0":null,"1":null,"2":null}})",
     "'id2label': expected an object with a name for each label"},
    {R"({"architectures":["BertForQuestionAnswering"]})",
     "'id2label': expected 2 outputs"},
    {R"({"quantization_config":{"quant_method":"gptq"}})",
     "'quantization_config': expected quant_method \"tern\""},
    {R"({"quantization_config":
                      {"quant_method":"tern","version":2,"bits":2}})",
     "'quantization_config': expected version 1"}};

TEST_F(ConfigTest, RefusesBadConfigsNamingTheKey) {
  for (const BadConfig& bad : kBadConfigs) {
    const absl::Status status = Load(bad.changes).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(bad.problem));
  }
}

TEST_F(ConfigTest, ReadsTinyModelsOfEveryTask) {
  const std::pair<TinyTask, Task> tasks[] = {
      {TinyTask::kSingleLabel, Task::kSingleLabel},
      {TinyTask::kMultiLabel, Task::kMultiLabel},
      {TinyTask::kRegression, Task::kRegression},
      {TinyTask::kQuestionAnswering, Task::kQuestionAnswering}};
  for (const auto& [tiny, task] : tasks) {
    TinyModelOptions options;
    options.task = tiny;
    ASSERT_TRUE(WriteTinyModel(folder_, options).ok());
    EXPECT_EQ(LoadConfig(folder_)->task, task);
  }
}

}  // namespace
}  // namespace tern

#include "model/sentence_transformer.h"

#include <filesystem>
#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "model/ternary_folder.h"

namespace tern {
namespace {

namespace fs = std::filesystem;

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

constexpr char kGoldens[] = TERN_SOURCE_DIR "/tests/model/goldens/";

class SentenceTransformerTest : public ::testing::Test {
 protected:
  const std::string folder_ = ::testing::TempDir() + "model";

  // Starts from all-MiniLM-L6-v2's files.
  SentenceTransformerTest() {
    fs::create_directories(folder_ + "/1_Pooling");
    Write("modules.json",
          R"([{"idx":0,"name":"0","path":"",
               "type":"sentence_transformers.models.Transformer"},
              {"idx":1,"name":"1","path":"1_Pooling",
               "type":"sentence_transformers.models.Pooling"},
              {"idx":2,"name":"2","path":"2_Normalize",
               "type":"sentence_transformers.models.Normalize"}])");
    Write("1_Pooling/config.json",
          R"({"word_embedding_dimension":384,
              "pooling_mode_cls_token":false,"pooling_mode_mean_tokens":true,
              "pooling_mode_max_tokens":false,
              "pooling_mode_mean_sqrt_len_tokens":false})");
    Write("sentence_bert_config.json",
          R"({"max_seq_length":256,"do_lower_case":false})");
    Write("config_sentence_transformers.json",
          R"({"__version__":{"pytorch":"1.6.0"},"prompts":{},
              "default_prompt_name":null})");
  }

  void Write(const std::string& file, const std::string& text) {
    std::ofstream(folder_ + "/" + file) << text;
  }

  absl::StatusOr<BertConfig::Embedding> Read() {
    BertConfig config;
    config.max_positions = 512;
    const absl::Status status = ReadSentenceTransformer(folder_, config);
    if (!status.ok()) return status;
    return config.embedding;
  }

  void ExpectRefused(const std::string& problem) {
    const absl::Status status = Read().status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(problem));
    EXPECT_THAT(std::string(status.message()), HasSubstr(folder_));
  }
};

TEST_F(SentenceTransformerTest, ReadsStepsPoolingAndLongestInput) {
  const BertConfig::Embedding embedding = Read().value();
  EXPECT_EQ(embedding.pooling, Pooling::kMean);
  EXPECT_TRUE(embedding.normalize);
  EXPECT_EQ(embedding.max_tokens, 256);
}

TEST_F(SentenceTransformerTest, WithoutItsFilesTakesTheMeanNormalized) {
  fs::remove(folder_ + "/modules.json");
  const BertConfig::Embedding embedding = Read().value();
  EXPECT_EQ(embedding.pooling, Pooling::kMean);
  EXPECT_TRUE(embedding.normalize);
  EXPECT_EQ(embedding.max_tokens, 512);
}

TEST_F(SentenceTransformerTest, WithoutANormalizeStepDoesNotNormalize) {
  Write("modules.json", R"([{"path":"","type":"a.Transformer"},
                            {"path":"1_Pooling","type":"a.Pooling"}])");
  EXPECT_FALSE(Read()->normalize);
}

TEST_F(SentenceTransformerTest, ReadsEveryKindOfPoolingOldAndNew) {
  const std::pair<const char*, Pooling> cases[] = {
      {R"({"pooling_mode_cls_token":true})", Pooling::kFirstToken},
      {R"({"pooling_mode_max_tokens":true})", Pooling::kMax},
      {R"({"pooling_mode_mean_tokens":true})", Pooling::kMean},
      {R"({"pooling_mode":"cls"})", Pooling::kFirstToken},
      {R"({"pooling_mode":"max"})", Pooling::kMax},
      {R"({"pooling_mode":"mean"})", Pooling::kMean}};
  for (const auto& [text, pooling] : cases) {
    Write("1_Pooling/config.json", text);
    EXPECT_EQ(Read()->pooling, pooling) << text;
  }
}

TEST_F(SentenceTransformerTest, RefusesPoolingThatItDoesNotKnow) {
  for (const char* text :
       {"{}", R"({"pooling_mode_lasttoken":true})",
        R"({"pooling_mode":"weightedmean"})",
        R"({"pooling_mode_cls_token":true,"pooling_mode_mean_tokens":true})"}) {
    Write("1_Pooling/config.json", text);
    ExpectRefused("1_Pooling/config.json: expected one pooling_mode");
  }
}

TEST_F(SentenceTransformerTest, RefusesOtherSteps) {
  for (const char* text :
       {"[]", R"([{"path":"","type":"a.Transformer"}])",
        R"([{"type":"a.Transformer"},{"path":"1_Pooling","type":"a.Pooling"},
            {"path":"2_Dense","type":"a.Dense"}])",
        R"([3,4])"}) {
    Write("modules.json", text);
    ExpectRefused("modules.json: expected the steps Transformer, Pooling");
  }
}

TEST_F(SentenceTransformerTest, RefusesStepsOutsideOfTheFolder) {
  for (const char* path : {"../1_Pooling", "..", "/etc"}) {
    Write("modules.json",
          std::string(R"([{"path":"","type":"a.Transformer"},{"path":")") +
              path + R"(","type":"a.Pooling"}])");
    ExpectRefused("modules.json: expected a subfolder");
  }
}

TEST_F(SentenceTransformerTest, RefusesALengthWithoutRoomForAToken) {
  for (const char* length : {"2", "-1", "\"many\""}) {
    Write("sentence_bert_config.json",
          std::string(R"({"max_seq_length":)") + length + "}");
    ExpectRefused("expected a max_seq_length of at least 3");
  }
}

TEST_F(SentenceTransformerTest, RefusesLowerCaseForACasedTokenizer) {
  Write("sentence_bert_config.json", R"({"do_lower_case":true})");
  Write("tokenizer_config.json", R"({"do_lower_case":false})");
  ExpectRefused("expected do_lower_case as in tokenizer_config.json, false");
}

TEST_F(SentenceTransformerTest, RefusesADefaultPrompt) {
  Write("config_sentence_transformers.json",
        R"({"prompts":{"query":"query: "},"default_prompt_name":"query"})");
  ExpectRefused("expected no default_prompt_name");
}

TEST_F(SentenceTransformerTest, NamesTheFilesThatAreThere) {
  EXPECT_THAT(SentenceTransformerFiles(folder_),
              UnorderedElementsAre("modules.json", "1_Pooling/config.json",
                                   "sentence_bert_config.json",
                                   "config_sentence_transformers.json"));
  EXPECT_THAT(SentenceTransformerFiles(std::string(kGoldens) + "distilbert"),
              IsEmpty());
}

TEST_F(SentenceTransformerTest, ATernaryFolderEmbedsAsTheOneItWasMadeFrom) {
  const std::string from = std::string(kGoldens) + "embedding-mean";
  const std::string to = ::testing::TempDir() + "ternary";
  ASSERT_EQ(TernarizeFolder(from, to), absl::OkStatus());
  const BertConfig config = LoadConfig(to).value();
  EXPECT_TRUE(config.ternary);
  EXPECT_EQ(config.task, Task::kEmbedding);
  EXPECT_EQ(config.embedding.pooling, Pooling::kMean);
  EXPECT_TRUE(config.embedding.normalize);
  EXPECT_EQ(config.embedding.max_tokens, 12);
  fs::remove_all(to);
}

}  // namespace
}  // namespace tern

#include "model/self_check.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "model/ternary_folder.h"
#include "tests/tiny_model.h"

namespace tern {
namespace {

namespace fs = std::filesystem;

using ::testing::HasSubstr;

std::string ReadText(const std::string& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

void WriteText(const std::string& path, const std::string& text) {
  std::ofstream(path) << text;
}

// A variant whose products are wrong in one number.
Variant BrokenVariant() {
  Variant broken = *AllVariants().back();
  broken.name = "broken";
  broken.ternary_gemm = [](const TernaryGemmArgs& args) {
    AllVariants().back()->ternary_gemm(args);
    if (args.first_column == 0) args.y[0] += 1;
  };
  return broken;
}

class SelfCheckTest : public ::testing::Test {
 protected:
  SelfCheckTest() {
    EXPECT_EQ(WriteTinyModel(plain_), absl::OkStatus());
    EXPECT_EQ(TernarizeFolder(
                  plain_, folder_, [](int, int) {}, nullptr),
              absl::OkStatus());
    EXPECT_EQ(WriteSelfCheck(folder_), absl::OkStatus());
  }

  ~SelfCheckTest() override {
    fs::remove_all(plain_);
    fs::remove_all(folder_);
  }

  // What loading says with this replaced in the file.
  absl::Status ErrorWith(const std::string& text, const std::string& by) {
    const std::string path = absl::StrCat(folder_, "/", kSelfCheckFile);
    const std::string before = ReadText(path);
    const std::string after = absl::StrReplaceAll(before, {{text, by}});
    EXPECT_NE(before, after) << text;
    WriteText(path, after);
    const absl::Status status = LoadCheckedEngine(folder_, {}).status();
    WriteText(path, before);
    return status;
  }

  const std::string plain_ = ::testing::TempDir() + "plain";
  const std::string folder_ = ::testing::TempDir() + "ternary";
};

TEST_F(SelfCheckTest, EveryVariantOfThisMachinePasses) {
  for (const Variant* variant : AllVariants()) {
    if (!variant->supported()) continue;
    const auto engine = LoadCheckedEngine(folder_, {}, {variant});
    ASSERT_TRUE(engine.ok()) << engine.status();
    EXPECT_TRUE(engine->checked);
    EXPECT_EQ(engine->engine->variant(), variant->name);
  }
}

TEST_F(SelfCheckTest, AFolderWithoutTheFileIsNotChecked) {
  fs::remove(absl::StrCat(folder_, "/", kSelfCheckFile));

  const auto engine = LoadCheckedEngine(folder_, {});

  ASSERT_TRUE(engine.ok()) << engine.status();
  EXPECT_FALSE(engine->checked);
}

TEST_F(SelfCheckTest, FloatsAreNotChecked) {
  EngineOptions options;
  options.precision = "fp32";

  const auto engine = LoadCheckedEngine(folder_, options);

  ASSERT_TRUE(engine.ok()) << engine.status();
  EXPECT_FALSE(engine->checked);
  EXPECT_EQ(WriteSelfCheck(plain_).code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST_F(SelfCheckTest, ABrokenVariantIsReplacedByTheNext) {
  const Variant broken = BrokenVariant();

  const auto engine =
      LoadCheckedEngine(folder_, {}, {&broken, AllVariants().back()});

  ASSERT_TRUE(engine.ok()) << engine.status();
  EXPECT_TRUE(engine->checked);
  EXPECT_EQ(engine->engine->variant(), "scalar");
  EXPECT_EQ(engine->fell_back.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(engine->fell_back.message()),
              HasSubstr("the kernels 'broken' gave"));
}

TEST_F(SelfCheckTest, AModelThatNoVariantPassesIsRefused) {
  const Variant broken = BrokenVariant();

  const auto engine = LoadCheckedEngine(folder_, {}, {&broken, &broken});

  EXPECT_EQ(engine.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(engine.status().message()),
              HasSubstr("inputs[0]: expected logits with SHA-256"));
}

TEST_F(SelfCheckTest, AnotherDigestIsRefused) {
  const std::string digest = "\"logits_sha256\":\"";
  const absl::Status status = ErrorWith(digest, digest + "0");

  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr("SHA-256 0"));
}

TEST_F(SelfCheckTest, AHalfCopiedVocabularyIsRefused) {
  fs::resize_file(folder_ + "/vocab.txt", 300);

  const absl::Status status = LoadCheckedEngine(folder_, {}).status();

  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("vocab.txt: expected SHA-256"));
}

TEST_F(SelfCheckTest, AMalformedFileIsRefusedByTheNameOfWhatIsWrong) {
  const auto message = [this](const std::string& text, const std::string& by) {
    const absl::Status status = ErrorWith(text, by);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return std::string(status.message());
  };

  EXPECT_THAT(message("{\"version\":1", "{\"version\":2"),
              HasSubstr("'version': expected 1"));
  EXPECT_THAT(message("\"vocabulary_sha256\"", "\"other\""),
              HasSubstr("'vocabulary_sha256': expected a string"));
  EXPECT_THAT(message("\"inputs\":[", "\"inputs\":7,\"other\":["),
              HasSubstr("'inputs': expected 1 to 16"));
  EXPECT_THAT(message("\"ids\":[", "\"ids\":[1000000,"),
              HasSubstr("inputs[0]: expected 'ids' with 1 to 128 tokens"));
  EXPECT_THAT(message("\"ids\":[", "\"ids\":[-1,"),
              HasSubstr("inputs[0]: expected 'ids'"));
  EXPECT_THAT(message("\"type_ids\":[", "\"type_ids\":[0,"),
              HasSubstr("inputs[0]: expected 'type_ids' with 1 types"));
  EXPECT_THAT(message("\"logits_sha256\":", "\"logits\":"),
              HasSubstr("inputs[0]: expected 'logits_sha256', a string"));
}

}  // namespace
}  // namespace tern

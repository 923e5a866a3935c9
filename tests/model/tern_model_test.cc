// Runs the tern-model command as a user does.

#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/tiny_model.h"

namespace tern {
namespace {

namespace fs = std::filesystem;

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;

struct Outcome {
  int exit_code = -1;
  std::string out;
  std::string error;
};

std::string ReadAll(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

class TernModelTest : public ::testing::Test {
 protected:
  const std::string root_ = ::testing::TempDir() + "tern_model_test";
  const std::string plain_ = root_ + "/plain";
  const std::string ternary_ = root_ + "/ternary";

  TernModelTest() {
    fs::create_directories(root_);
    EXPECT_TRUE(WriteTinyModel(plain_).ok());
  }
  ~TernModelTest() override { fs::remove_all(root_); }

  Outcome Run(const std::string& arguments) {
    const std::string out = root_ + "/out", error = root_ + "/error";
    const int status =
        std::system(absl::StrCat("'", TERN_MODEL_COMMAND, "' ", arguments, " >",
                                 out, " 2>", error)
                        .c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, ReadAll(out),
            ReadAll(error)};
  }
};

TEST_F(TernModelTest, HelpIsPrintedWhenAsked) {
  const Outcome help = Run("--help");
  EXPECT_EQ(help.exit_code, 0);
  for (const char* command :
       {"inspect", "verify", "ternarize", "self-check", "convert"}) {
    EXPECT_THAT(help.out, HasSubstr(absl::StrCat("tern-model ", command)));
  }
  EXPECT_THAT(help.error, IsEmpty());
}

TEST_F(TernModelTest, TellsItsVersion) {
  const Outcome version = Run("--version");
  EXPECT_EQ(version.exit_code, 0);
  EXPECT_THAT(version.out, MatchesRegex("tern-model [0-9]+\\.[0-9.]+\n"));
}

TEST_F(TernModelTest, WrongUsageExitsWithTwoAndOneLine) {
  const std::pair<std::string, const char*> cases[] = {
      {"", "expected a command"},
      {"inspct " + plain_, "unknown command 'inspct'"},
      {"inspect", "inspect: expected FOLDER, found 0 names"},
      {"ternarize " + plain_, "ternarize: expected FROM TO, found 1 names"},
      {"inspect --jsn " + plain_, "--jsn: no such flag"},
      {"inspect --json=7 " + plain_,
       "--json: expected true or false, found '7'"},
      {"convert a b --dtype=f8", "--dtype: expected f32, f16 or bf16"},
      {"verify --json " + plain_,
       "--json: expected only with inspect, found with verify"},
  };
  for (const auto& [arguments, problem] : cases) {
    const Outcome outcome = Run(arguments);
    EXPECT_EQ(outcome.exit_code, 2) << arguments;
    EXPECT_THAT(outcome.error, HasSubstr(problem));
    EXPECT_EQ(std::count(outcome.error.begin(), outcome.error.end(), '\n'), 1);
    EXPECT_THAT(outcome.out, IsEmpty());
  }
}

TEST_F(TernModelTest, ATernarizedFolderPassesItsSelfCheckUntilItIsDamaged) {
  ASSERT_EQ(Run("ternarize " + plain_ + " " + ternary_).exit_code, 0);
  const Outcome passed = Run("self-check " + ternary_);
  EXPECT_EQ(passed.exit_code, 0) << passed.error;
  EXPECT_THAT(passed.out, HasSubstr("scalar: passed\n"));

  std::ofstream(ternary_ + "/vocab.txt", std::ios::app) << "more\n";
  const Outcome damaged = Run("self-check " + ternary_);
  EXPECT_EQ(damaged.exit_code, 1);
  EXPECT_THAT(damaged.error, HasSubstr("vocab.txt: expected SHA-256"));

  EXPECT_EQ(Run("self-check " + ternary_ + " --write").exit_code, 0);
  const Outcome none = Run("self-check " + plain_);
  EXPECT_EQ(none.exit_code, 1);
  EXPECT_THAT(none.error, HasSubstr("expected a ternary folder with"));
}

TEST_F(TernModelTest, BadFolderExitsWithOneAndOneLine) {
  fs::resize_file(plain_ + "/model.safetensors", 1000);
  for (const std::string& arguments :
       {"inspect " + plain_, "verify " + plain_,
        "ternarize " + plain_ + " " + ternary_,
        "convert " + plain_ + " " + ternary_, "verify " + root_ + "/none"}) {
    const Outcome outcome = Run(arguments);
    EXPECT_EQ(outcome.exit_code, 1) << arguments;
    EXPECT_THAT(outcome.error, HasSubstr(root_));
    EXPECT_EQ(std::count(outcome.error.begin(), outcome.error.end(), '\n'), 1);
    EXPECT_FALSE(fs::exists(ternary_));
  }
}

TEST_F(TernModelTest, TernarizesVerifiesAndInspects) {
  const Outcome made = Run("ternarize " + plain_ + " " + ternary_);
  ASSERT_EQ(made.exit_code, 0) << made.error;
  EXPECT_THAT(made.out, HasSubstr("encoder only"));
  EXPECT_THAT(made.out, HasSubstr("relative error of all ternary weights"));
  EXPECT_THAT(made.error, IsEmpty());  // no progress bar in a file

  const Outcome verified = Run("verify " + ternary_);
  EXPECT_EQ(verified.exit_code, 0) << verified.error;
  EXPECT_THAT(verified.out, HasSubstr("41 tensors are as config.json says; "
                                      "all checksums are right"));

  const Outcome table = Run("inspect " + ternary_);
  EXPECT_EQ(table.exit_code, 0) << table.error;
  EXPECT_THAT(table.out, HasSubstr("bert.pooler.dense.weight_scale"));
}

TEST_F(TernModelTest, InspectCountsBytesAsTheArithmeticDoes) {
  ASSERT_EQ(Run("ternarize " + plain_ + " " + ternary_).exit_code, 0);
  const Outcome outcome = Run("inspect --json " + ternary_);
  ASSERT_EQ(outcome.exit_code, 0) << outcome.error;
  const nlohmann::json json = nlohmann::json::parse(outcome.out);
  // Two layers of hidden 64 and intermediate 128.
  const int weights = 2 * (4 * 64 * 64 + 2 * 64 * 128);
  const int matrices = 2 * 6;
  const int floats = 2 * (5 * 64 + 128 + 4 * 64);  // biases and LayerNorms
  EXPECT_EQ(json["encoder_bytes"], weights / 4 + 4 * matrices + 4 * floats);
  EXPECT_EQ(json["encoder_fp32_bytes"], 4 * (weights + floats));
  EXPECT_EQ(json["ternary"], true);
  EXPECT_EQ(json["file_bytes"], fs::file_size(ternary_ + "/model.safetensors"));
  int with_zeros = 0;
  for (const auto& tensor : json["tensors"]) {
    if (!tensor.contains("zero_share")) continue;
    ++with_zeros;
    EXPECT_NEAR(tensor["zero_share"].get<double>(), 0.35, 0.03);
  }
  EXPECT_EQ(with_zeros, matrices + 2);
}

TEST_F(TernModelTest, ConvertsToTheDtypeAskedFor) {
  const std::string half = root_ + "/half";
  const Outcome outcome = Run("convert --dtype f16 " + plain_ + " " + half);
  ASSERT_EQ(outcome.exit_code, 0) << outcome.error;
  const Outcome inspected = Run("inspect --json " + half);
  const nlohmann::json json = nlohmann::json::parse(inspected.out);
  for (const auto& tensor : json["tensors"]) EXPECT_EQ(tensor["dtype"], "F16");
  EXPECT_EQ(json["ratio"], 2.0);
}

TEST_F(TernModelTest, ShippedModelIsGood) {
  const Outcome outcome =
      Run(absl::StrCat("verify '", TERN_SOURCE_DIR, "/models/sst2-minilm'"));
  EXPECT_EQ(outcome.exit_code, 0) << outcome.error;
}

}  // namespace
}  // namespace tern

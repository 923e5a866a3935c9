// Runs the benchmark programs on a tiny model: what they check must hold, and
// what they print must be there. No time is asserted.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"
#include "tests/client/run_command.h"
#include "tests/tiny_model.h"

namespace tern {
namespace {

using ::testing::HasSubstr;

class TernBenchTest : public ::testing::Test {
 protected:
  TernBenchTest()
      : folder_(absl::StrCat(::testing::TempDir(), "/tern_bench_test-",
                             getpid())) {}
  ~TernBenchTest() override { std::filesystem::remove_all(folder_); }

  void SetUp() override {
    ASSERT_TRUE(WriteTinyModel(folder_ + "/fp32").ok());
    ASSERT_EQ(RunCommand({TERN_MODEL_COMMAND, "ternarize", folder_ + "/fp32",
                          folder_ + "/ternary"},
                         "")
                  .exit_code,
              0);
  }

  CommandResult Bench(const std::string& command,
                      std::vector<std::string> flags) {
    flags.insert(flags.begin(),
                 {TERN_BENCH_COMMAND, command, folder_ + "/ternary"});
    return RunCommand(flags, "");
  }

  const std::string folder_;
};

TEST_F(TernBenchTest, TimesCheckedPassesOfMadeUpTexts) {
  const CommandResult result = Bench(
      "time", {"--tokens=20", "--sequences=3", "--threads=2", "--seconds=0"});

  ASSERT_EQ(result.exit_code, 0) << result.err;
  const nlohmann::json json = nlohmann::json::parse(result.out);
  EXPECT_EQ(json["tokens"], 60);
  EXPECT_EQ(json["sequences"], 3);
  EXPECT_EQ(json["precision"], "ternary");
  ASSERT_EQ(json["pass_seconds"].size(), 1);
  EXPECT_GT(json["pass_seconds"][0], 0);
}

TEST_F(TernBenchTest, TimesTheTextsOfAFileInBatches) {
  const std::string path = folder_ + "/texts";
  std::ofstream(path) << "abc\nabc def\tghi\nabc\nabc\n";

  const CommandResult result =
      Bench("time", {"--texts=" + path, "--max_tokens=16",
                     "--max_batch_tokens=16", "--workers=2", "--seconds=0"});

  ASSERT_EQ(result.exit_code, 0) << result.err;
  const nlohmann::json json = nlohmann::json::parse(result.out);
  EXPECT_EQ(json["sequences"], 4);
  EXPECT_GT(json["batches"], 1);
}

TEST_F(TernBenchTest, ProfileNamesEveryStage) {
  const CommandResult result = Bench("profile", {"--tokens=20", "--seconds=0"});

  ASSERT_EQ(result.exit_code, 0) << result.err;
  for (const char* stage :
       {"linear 64x64", "linear 128x64", "linear 64x128", "attention",
        "activate, quantize", "add, norm, quantize", "tokenize",
        "linear layers, all", "roofline"}) {
    EXPECT_THAT(result.out, HasSubstr(stage));
  }
}

TEST_F(TernBenchTest, LoadReportsTimeAndMemory) {
  const CommandResult result = Bench("load", {"--tokens=20"});

  ASSERT_EQ(result.exit_code, 0) << result.err;
  const nlohmann::json json = nlohmann::json::parse(result.out);
  EXPECT_GT(json["first_answer_seconds"], json["load_seconds"]);
  EXPECT_GT(json["resident_bytes"], json["bare_bytes"]);
}

TEST_F(TernBenchTest, RefusesWhatItCannotRun) {
  EXPECT_THAT(Bench("time", {"--tokens=1000"}).err, HasSubstr("--tokens"));
  EXPECT_EQ(Bench("time", {"--threads=0"}).exit_code, 1);
  EXPECT_EQ(Bench("fly", {}).exit_code, 2);
  EXPECT_THAT(Bench("time", {"--texts=missing"}).err, HasSubstr("missing"));
}

TEST(TernBenchKernelsTest, EveryKernelOfThisMachineHasTheBitsOfTheScalarOne) {
  const CommandResult result = RunCommand(
      {TERN_BENCH_KERNELS_COMMAND, "--benchmark_format=json",
       "--benchmark_min_time=0",
       "--benchmark_filter=^(ternary|quantize|add|gelu|attention).*"
       "(n:1000/k:300/m:(1|8|64)$|k:384/m:128|k:1536/m:128|length:32/)"},
      "");

  ASSERT_EQ(result.exit_code, 0) << result.err;
  const nlohmann::json json = nlohmann::json::parse(result.out);
  ASSERT_GE(json["benchmarks"].size(), 8);
  for (const nlohmann::json& run : json["benchmarks"]) {
    EXPECT_FALSE(run.value("error_occurred", false)) << run.dump(2);
  }
}

}  // namespace
}  // namespace tern

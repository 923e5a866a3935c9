// Runs the real `tern bench` against a server without models.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "nlohmann/json.hpp"
#include "tests/client/fake_server.h"
#include "tests/client/run_command.h"

namespace tern {
namespace {

using ::testing::HasSubstr;

class BenchCommandTest : public ::testing::Test {
 protected:
  CommandResult Bench(std::vector<std::string> arguments,
                      const std::string& input) {
    arguments.insert(arguments.begin(), {TERN_COMMAND, "bench"});
    setenv("TERN_SERVER", server_.target().c_str(), 1);
    return RunCommand(arguments, input);
  }

  FakeServer server_;
};

TEST_F(BenchCommandTest, AClosedLoopReportsWhatItMeasured) {
  const CommandResult result =
      Bench({"--clients=2", "--seconds=300ms", "--warm-up=0s", "--json"},
            "one text\nanother\n");

  ASSERT_EQ(result.exit_code, 0) << result.err;
  const nlohmann::json json = nlohmann::json::parse(result.out);
  EXPECT_EQ(json["clients"], 2);
  EXPECT_EQ(json["failed"], 0);
  EXPECT_GT(json["answered"], 0);
  EXPECT_GT(json["latencySeconds"]["p50"], 0);
  EXPECT_GE(json["latencySeconds"]["max"], json["latencySeconds"]["p99"]);
  EXPECT_LE(server_.max_concurrent_calls(), 2);
  EXPECT_EQ(server_.max_inputs(), 1);
}

TEST_F(BenchCommandTest, ARateIsKept) {
  const CommandResult result = Bench(
      {"--rate=100", "--seconds=500ms", "--warm-up=0s", "--json"}, "text\n");

  ASSERT_EQ(result.exit_code, 0) << result.err;
  const nlohmann::json json = nlohmann::json::parse(result.out);
  EXPECT_EQ(json["rate"], 100);
  EXPECT_GT(json["answered"], 25);  // 50 on average, the same each time
  EXPECT_LT(json["answered"], 75);
}

TEST_F(BenchCommandTest, ARampDrawsItsPicture) {
  const std::string path = ::testing::TempDir() + "/bench_command_test.svg";
  server_.DelayBy(absl::Milliseconds(20));

  const CommandResult result =
      Bench({"--ramp", "--seconds=600ms", "--warm-up=0s", "--json",
             "--picture=" + path},
            "text\n");

  ASSERT_EQ(result.exit_code, 0) << result.err;
  const nlohmann::json json = nlohmann::json::parse(result.out);
  EXPECT_EQ(json["steps"].size(), 11);
  EXPECT_TRUE(json.contains("kneeRate"));
  std::stringstream picture;
  picture << std::ifstream(path).rdbuf();
  EXPECT_THAT(picture.str(), HasSubstr("<svg"));
  EXPECT_THAT(picture.str(), HasSubstr("p99"));
}

TEST_F(BenchCommandTest, RefusesFlagsThatDoNotGoTogether) {
  EXPECT_EQ(Bench({"--ramp", "--rate=5"}, "text\n").exit_code, 2);
  EXPECT_EQ(Bench({"--clients=0"}, "text\n").exit_code, 2);
  EXPECT_EQ(Bench({"--picture=x.svg"}, "text\n").exit_code, 2);
}

TEST_F(BenchCommandTest, ACallThatFailsBeforeTheLoadEndsIt) {
  server_.FailNext({{grpc::StatusCode::NOT_FOUND, "no model 'x'"}});

  const CommandResult result = Bench({"--model=x"}, "text\n");

  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(result.err, "tern: no model 'x'\n");
}

}  // namespace
}  // namespace tern

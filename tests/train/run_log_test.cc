#include "train/run_log.h"

#include <fstream>
#include <sstream>
#include <string>

#include "gtest/gtest.h"

namespace tern {
namespace {

std::string Contents(const std::string& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

TEST(RunLogTest, ResumingDropsStepsThatWillBeDoneAgain) {
  const std::string path = testing::TempDir() + "log.jsonl";
  std::ofstream(path) << R"({"event":"start","step":0})"
                      << "\n"
                      << R"({"loss":0.5,"step":1})"
                      << "\n"
                      << R"({"loss":0.4,"step":2})"
                      << "\n"
                      << R"({"loss":0.)";  // cut short by a crash
  {
    RunLog log;
    ASSERT_TRUE(log.Open(path, 1).ok());
    EXPECT_TRUE(log.Write({{"loss", 0.25}, {"step", 2}}).ok());
  }
  EXPECT_EQ(Contents(path),
            "{\"event\":\"start\",\"step\":0}\n"
            "{\"loss\":0.5,\"step\":1}\n"
            "{\"loss\":0.25,\"step\":2}\n");
}

TEST(RunLogTest, PathThatCannotBeWrittenIsAnError) {
  EXPECT_FALSE(RunLog().Open("no/such/folder/log.jsonl", 0).ok());
}

}  // namespace
}  // namespace tern

#include "server/log.h"

#include "gtest/gtest.h"

namespace tern {
namespace {

TEST(LogTest, TextIsLevelEventAndFields) {
  EXPECT_EQ(FormatEvent(LogFormat::kText, LogLevel::kInfo, "model loaded",
                        {{"model", "sst2"}, {"seconds", 0.5}, {"bytes", 7}}),
            "info model loaded model=sst2 seconds=0.5 bytes=7");
}

TEST(LogTest, TextQuotesWhatHasSpacesOrNewlines) {
  EXPECT_EQ(FormatEvent(LogFormat::kText, LogLevel::kError, "cannot start",
                        {{"error", "a\nb c"}, {"empty", ""}}),
            R"(error cannot start error="a\nb c" empty="")");
}

TEST(LogTest, JsonIsOneObjectOnceTheTimeIsInFront) {
  const std::string line =
      R"({"time":"2026-01-31T12:00:00.000Z",)" +
      FormatEvent(LogFormat::kJson, LogLevel::kWarning, "say \"x\"",
                  {{"n", 1}, {"bad", "\xff"}});

  const auto object = nlohmann::json::parse(line);

  EXPECT_EQ(object["level"], "warning");
  EXPECT_EQ(object["event"], "say \"x\"");
  EXPECT_EQ(object["n"], 1);
  EXPECT_EQ(object["bad"], "\uFFFD");
}

}  // namespace
}  // namespace tern

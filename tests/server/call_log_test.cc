#include "server/call_log.h"

#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tern {
namespace {

TEST(CallLogTest, EachChoiceHasTheCallsOfThoseBeforeIt) {
  const absl::Duration fast = absl::Milliseconds(1), slow = absl::Seconds(2);
  const absl::Status ok, failed = absl::ResourceExhaustedError("");
  const auto wants = [](LoggedCalls calls, const absl::Status& status,
                        absl::Duration total) {
    return WantsLine({.calls = calls, .slow = absl::Seconds(2)}, status, total);
  };
  EXPECT_FALSE(wants(LoggedCalls::kNone, failed, slow));
  EXPECT_FALSE(wants(LoggedCalls::kSlow, failed, fast));
  EXPECT_TRUE(wants(LoggedCalls::kSlow, ok, slow));
  EXPECT_FALSE(wants(LoggedCalls::kFailed, ok, fast));
  EXPECT_TRUE(wants(LoggedCalls::kFailed, ok, slow));
  EXPECT_TRUE(wants(LoggedCalls::kFailed, failed, fast));
  EXPECT_TRUE(wants(LoggedCalls::kAll, ok, fast));
}

TEST(CallLogTest, AnInternalErrorIsAlwaysLogged) {
  EXPECT_TRUE(WantsLine({}, absl::InternalError("bug"), absl::ZeroDuration()));
}

TEST(CallLogTest, ALineHasTimesAndTheTrace) {
  Request request;
  request.tenant = "alice";
  request.sequences.resize(2);
  request.sequences[0].ids = {1, 2, 3};
  request.sequences[1].ids = {1, 2};
  const StageTimes times = {.queue = absl::Milliseconds(250),
                            .compute = absl::Microseconds(1500),
                            .total = absl::Seconds(1)};
  const LogFields fields =
      CallFields("Classify", request, absl::OkStatus(), times,
                 TraceContext{.trace_id = "4bf92f3577b34da6a3ce929d0e0e4736",
                              .span_id = "00f067aa0ba902b7"});
  EXPECT_EQ(fields.dump(),
            R"({"method":"Classify","status":"OK","tenant":"alice","tokens":5,)"
            R"("seconds":1.0,"queue_seconds":0.25,"compute_seconds":0.0015,)"
            R"("trace_id":"4bf92f3577b34da6a3ce929d0e0e4736",)"
            R"("span_id":"00f067aa0ba902b7"})");
}

TEST(CallLogTest, AnErrorThatMayQuoteTheClientStaysOutOfTheLog) {
  const auto fields = [](const absl::Status& status) {
    return CallFields("Classify", Request(), status, {}, std::nullopt);
  };
  EXPECT_FALSE(fields(absl::InvalidArgumentError("secret")).contains("error"));
  EXPECT_EQ(fields(absl::InternalError("bug"))["error"], "bug");
}

// The lines of so many calls that failed, ten a millisecond.
std::vector<std::string> LinesOf(int calls, LoggedCalls logged) {
  SetUpLog(LogFormat::kText, LogLevel::kInfo);
  CallLog log({.calls = logged});
  absl::Time now = absl::UnixEpoch();
  testing::internal::CaptureStderr();
  for (int i = 0; i < calls; ++i) {
    now += absl::Microseconds(100);
    log.Observe("Classify", Request(), absl::ResourceExhaustedError(""), {},
                std::nullopt, now);
  }
  return absl::StrSplit(testing::internal::GetCapturedStderr(), '\n',
                        absl::SkipEmpty());
}

TEST(CallLogTest, AFloodOfFailuresGetsAHundredLinesASecond) {
  const auto lines = LinesOf(10001, LoggedCalls::kFailed);  // just over 1 s

  ASSERT_EQ(lines.size(), 101);
  EXPECT_THAT(lines[99], ::testing::Not(::testing::HasSubstr("not_logged")));
  EXPECT_THAT(lines[100], ::testing::HasSubstr("calls_not_logged=9900"));
}

TEST(CallLogTest, AllCallsHaveALineEachWhereAllAreAskedFor) {
  EXPECT_EQ(LinesOf(1000, LoggedCalls::kAll).size(), 1000);
}

}  // namespace
}  // namespace tern

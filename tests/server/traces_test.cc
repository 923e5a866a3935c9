// Trace ids, from a call's metadata or header to the log.

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/http_client.h"
#include "tests/server/running_server.h"

namespace tern {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kTraceId[] = "4bf92f3577b34da6a3ce929d0e0e4736";
constexpr char kTraceparentOfTest[] =
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

// What a server that runs `calls` logs from its start to its end.
template <typename Calls>
std::string LogOf(LoggedCalls logged, const Calls& calls) {
  ::testing::internal::CaptureStderr();
  {
    RunningServer running([&](Options& options) {
      SetUpLog(LogFormat::kJson, LogLevel::kInfo);
      options.http_listen = "127.0.0.1:0";
      options.call_log.calls = logged;
    });
    calls(running);
  }
  return ::testing::internal::GetCapturedStderr();
}

void Classify(RunningServer& running, const std::string& text,
              const std::string& traceparent) {
  grpc::ClientContext context;
  context.AddMetadata(kTraceparent, traceparent);
  v1::ClassifyResponse response;
  (void)running.inference->Classify(&context, MakeClassify({text}), &response);
}

TEST(TracesTest, ACallOverGrpcIsLoggedWithItsTrace) {
  const std::string log = LogOf(LoggedCalls::kAll, [](RunningServer& running) {
    Classify(running, "a", kTraceparentOfTest);
  });
  EXPECT_THAT(log, HasSubstr(R"("event":"call","method":"Classify",)"
                             R"("status":"OK","model":"classifier")"));
  EXPECT_THAT(log, HasSubstr(R"("trace_id":"4bf92f3577b34da6a3ce929d0e0e4736",)"
                             R"("span_id":"00f067aa0ba902b7"})"));
}

TEST(TracesTest, ACallOverHttpIsLoggedWithItsTrace) {
  const std::string log = LogOf(LoggedCalls::kAll, [](RunningServer& running) {
    EXPECT_EQ(HttpCall(running.server->http_address(), "POST", "/v1/classify",
                       R"({"inputs": [{"text": "one"}]})",
                       {std::string("Traceparent: ") + kTraceparentOfTest})
                  .status,
              200);
  });
  EXPECT_THAT(log, HasSubstr(kTraceId));
}

TEST(TracesTest, AMalformedTraceparentIsIgnored) {
  const std::string log = LogOf(LoggedCalls::kAll, [](RunningServer& running) {
    Classify(running, "a", "00-4bf9-00f0-01");
  });
  EXPECT_THAT(log, HasSubstr(R"("event":"call")"));
  EXPECT_THAT(log, Not(HasSubstr("trace_id")));
}

TEST(TracesTest, OnlyFailedCallsAreLoggedWhereOnlyThoseAreWanted) {
  const std::string log =
      LogOf(LoggedCalls::kFailed, [](RunningServer& running) {
        Classify(running, "a", kTraceparentOfTest);
        Classify(running, "", kTraceparentOfTest);
      });
  EXPECT_THAT(log, HasSubstr(R"("status":"INVALID_ARGUMENT")"));
  EXPECT_THAT(log, Not(HasSubstr(R"("event":"call","method":"Classify",)"
                                 R"("status":"OK")")));
}

}  // namespace
}  // namespace tern

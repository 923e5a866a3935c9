// The real tern-server under attack: it stays up and serves others.

#include "tests/end_to_end/abuse.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "tests/end_to_end/server_process.h"
#include "tests/tiny_model.h"

namespace tern {
namespace {

class AbuseTest : public ::testing::TestWithParam<std::string> {};

TEST_P(AbuseTest, TheServerStaysUpAndServesOthers) {
  TemporaryFolder model;
  ASSERT_TRUE(WriteTinyModel(model.path()).ok());
  auto server =
      ServerProcess::Start({absl::StrCat("--model=tiny=", model.path()),
                            "--http-listen=127.0.0.1:0", "--lame-duck=0s"});
  ASSERT_TRUE(server.ok()) << server.status();

  const auto report =
      RunAttack(GetParam(), {.target = (*server)->target(),
                             .http_target = (*server)->http_target(),
                             .model = "tiny",
                             .time = absl::Seconds(1),
                             .connections = 20,
                             .huge_message_mb = 20});

  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_GT(report->attempts, 0);
  EXPECT_EQ(report->unexpected, 0) << ::testing::PrintToString(report->ends);
  {
    // Gone before the server stops: a channel without a call looks at its
    // connection, and so at GOAWAY, every 5 seconds only.
    const auto client = (*server)->NewClient({.retry = false});
    v1::ClassifyRequest request;
    request.add_inputs()->set_text("a gripping film");
    const auto response = client->Classify(request);
    EXPECT_TRUE(response.ok()) << response.status();
  }
  EXPECT_EQ((*server)->Stop(), 0) << (*server)->process().Log();
}

INSTANTIATE_TEST_SUITE_P(
    All, AbuseTest, ::testing::ValuesIn(AttackNames()),
    [](const ::testing::TestParamInfo<std::string>& attack) {
      return absl::StrReplaceAll(attack.param, {{"-", "_"}});
    });

}  // namespace
}  // namespace tern

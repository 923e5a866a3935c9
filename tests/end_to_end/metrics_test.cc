// /metrics as its readers see it: promtool and a real Prometheus, from Debian's
// package.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <random>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/client/run_command.h"
#include "tests/end_to_end/http_get.h"
#include "tests/end_to_end/server_process.h"
#include "tests/tiny_model.h"

namespace tern {
namespace {

using ::testing::IsEmpty;

// A port that was free a moment ago, below those that the kernel hands out,
// which another test may get before it is listened on.
int FreePort() {
  std::random_device random;
  while (true) {
    const int port = std::uniform_int_distribution(20000, 32767)(random);
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int bound =
        bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address);
    close(listener);
    if (bound == 0) return port;
  }
}

class MetricsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::string model = folder_.path() + "/tiny";
    ASSERT_TRUE(WriteTinyModel(model).ok());
    auto server =
        ServerProcess::Start({"--lame-duck=0s", "--model=tiny=" + model});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);

    v1::ClassifyRequest request;
    request.add_inputs()->set_text("a gripping film");
    const auto client = server_->NewClient({});
    for (int i = 0; i < 7; ++i) {
      ASSERT_TRUE(client->Classify(request).ok());
    }
    request.set_model("nosuch");
    ASSERT_FALSE(client->Classify(request).ok());
  }

  void TearDown() override {
    if (server_ != nullptr) {
      EXPECT_EQ(server_->Stop(), 0);
    }
  }

  TemporaryFolder folder_;
  std::unique_ptr<ServerProcess> server_;
};

TEST_F(MetricsTest, PromtoolFindsNothingToSay) {
  const auto page = HttpGet(server_->metrics_target(), "/metrics");
  ASSERT_TRUE(page.ok()) << page.status();

  // env: looks promtool up in PATH.
  const CommandResult promtool =
      RunCommand({"/usr/bin/env", "promtool", "check", "metrics"}, *page);

  EXPECT_EQ(promtool.exit_code, 0) << "Debian package: prometheus";
  EXPECT_THAT(promtool.out, IsEmpty());
  EXPECT_THAT(promtool.err, IsEmpty());
}

TEST_F(MetricsTest, ARealPrometheusScrapesAndAnswersQueries) {
  const std::string address = absl::StrCat("127.0.0.1:", FreePort());
  const std::string config = folder_.path() + "/prometheus.yml";
  std::ofstream(config) << "global: {scrape_interval: 200ms}\n"
                           "scrape_configs:\n"
                           "- job_name: tern\n"
                           "  scrape_timeout: 200ms\n"
                           "  static_configs:\n"
                           "  - targets: ['"
                        << server_->metrics_target() << "']\n";
  ChildProcess prometheus(
      {"prometheus", "--config.file=" + config,
       "--storage.tsdb.path=" + folder_.path() + "/prometheus",
       "--web.listen-address=" + address},
      folder_.path() + "/prometheus.log");

  // Until the first scrape the answer has no results.
  const absl::Time end = absl::Now() + absl::Seconds(60);
  std::string accepted;
  while (accepted.empty() && absl::Now() < end && prometheus.running()) {
    absl::SleepFor(absl::Milliseconds(100));
    const auto answer =
        HttpGet(address, "/api/v1/query?query=tern_requests_accepted_total");
    if (!answer.ok()) continue;
    const auto json = nlohmann::json::parse(*answer, nullptr, false);
    const auto results =
        json.is_discarded() ? nlohmann::json::array() : json["data"]["result"];
    if (results.size() == 1) accepted = results[0]["value"][1];
  }

  EXPECT_EQ(accepted, "7") << "Debian package: prometheus. Its log:\n"
                           << prometheus.Log();
}

}  // namespace
}  // namespace tern

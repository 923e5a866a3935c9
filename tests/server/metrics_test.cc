#include "server/metrics.h"

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tern {
namespace {

using ::testing::HasSubstr;

class MetricsTest : public ::testing::Test {
 protected:
  VirtualClock clock_;
  Scheduler scheduler_{{}, &clock_};
  Metrics metrics_{&scheduler_};
};

TEST_F(MetricsTest, ACallIsCountedByStageMethodModelAndStatus) {
  ServedModel model;
  model.name = "sst2";

  metrics_.ObserveCall("Classify", &model, absl::StatusCode::kOk,
                       {.tokenize = absl::Milliseconds(1),
                        .queue = absl::Milliseconds(2),
                        .compute = absl::Milliseconds(4),
                        .total = absl::Milliseconds(8)});

  const std::string text = metrics_.Text();
  EXPECT_THAT(text, HasSubstr("tern_call_duration_seconds_sum{method="
                              "\"Classify\",model=\"sst2\",stage=\"total\","
                              "status=\"OK\"} 0.008"));
  EXPECT_THAT(text, HasSubstr("stage=\"queue\",status=\"OK\"} 0.002"));
}

TEST_F(MetricsTest, AStageThatWasNotReachedIsNotObserved) {
  metrics_.ObserveCall("Answer", nullptr, absl::StatusCode::kNotFound,
                       {.total = absl::Milliseconds(1)});

  EXPECT_THAT(metrics_.Text(), HasSubstr("stage=\"total\""));
  EXPECT_THAT(metrics_.Text(), ::testing::Not(HasSubstr("stage=\"compute\"")));
}

TEST_F(MetricsTest, RejectionsAreCountedFromZero) {
  EXPECT_THAT(
      metrics_.Text(),
      HasSubstr("tern_requests_rejected_total{reason=\"queue_full\"} 0"));
  metrics_.CountRejected("queue_full");
  EXPECT_THAT(
      metrics_.Text(),
      HasSubstr("tern_requests_rejected_total{reason=\"queue_full\"} 1"));
}

TEST_F(MetricsTest, TheQueueIsReadWhenAsked) {
  auto request = std::make_shared<Request>();
  request->sequences.emplace_back().ids.resize(12);
  request->model = std::make_shared<ServedModel>();
  request->done = [](const absl::Status&) {};
  ASSERT_TRUE(scheduler_.Push(request).ok());

  const std::string text = metrics_.Text();

  EXPECT_THAT(text, HasSubstr("tern_requests_accepted_total 1"));
  EXPECT_THAT(text, HasSubstr("tern_requests_in_flight 1"));
  EXPECT_THAT(text, HasSubstr("tern_queue_tokens 12"));
}

TEST_F(MetricsTest, ProcessMetricsLookPlausible) {
  const std::string text = metrics_.Text();
  const size_t at = text.find("\nprocess_resident_memory_bytes ");
  ASSERT_NE(at, std::string::npos);
  EXPECT_GT(std::atof(text.c_str() + text.find(' ', at)), 1e6);
  const size_t start = text.find("\nprocess_start_time_seconds ");
  ASSERT_NE(start, std::string::npos);
  const double started = std::atof(text.c_str() + text.find(' ', start));
  EXPECT_NEAR(started, static_cast<double>(time(nullptr)), 3600);
}

TEST_F(MetricsTest, ABadAddressIsNamed) {
  const auto port = metrics_.Listen("no-such-host.invalid:1");
  EXPECT_EQ(port.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(port.status().message()),
              HasSubstr("no-such-host.invalid:1"));
}

TEST_F(MetricsTest, NamesPassPromtool) {
  ASSERT_EQ(std::system("promtool --version >/dev/null 2>&1"), 0)
      << "needs promtool: script/bootstrap installs it (package prometheus)";
  ServedModel model;
  model.name = "sst2";
  metrics_.ObserveCall("Classify", &model, absl::StatusCode::kOk,
                       {.total = absl::Milliseconds(8)});
  Work work;
  work.items.push_back({std::make_shared<Request>(), 0});
  work.items[0].request->model = std::make_shared<ServedModel>();
  metrics_.ObserveBatch(work, absl::Milliseconds(1));
  const std::string path = ::testing::TempDir() + "tern_metrics.txt";
  std::ofstream(path) << metrics_.Text();

  EXPECT_EQ(std::system(("promtool check metrics < " + path).c_str()), 0);
}

}  // namespace
}  // namespace tern

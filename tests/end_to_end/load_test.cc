// The real tern-server under many clients: same bits, nothing lost, nothing
// miscounted.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/end_to_end/batch_invariance.h"
#include "tests/end_to_end/random_texts.h"
#include "tests/end_to_end/server_process.h"
#include "tests/end_to_end/storm.h"
#include "tests/tiny_model.h"

namespace tern {
namespace {

class LoadTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const absl::Status written = WriteTinyModel(model_.path());
    ASSERT_TRUE(written.ok()) << written;
  }

  std::unique_ptr<ServerProcess> Start(std::vector<std::string> flags) {
    flags.push_back(absl::StrCat("--model=tiny=", model_.path()));
    auto server = ServerProcess::Start(flags);
    EXPECT_TRUE(server.ok()) << server.status();
    return server.ok() ? *std::move(server) : nullptr;
  }

  TemporaryFolder model_;
};

TEST_F(LoadTest, AnswersOfACrowdEqualAnswersAloneBitForBit) {
  const std::vector<std::string> texts = RandomTexts(200, /*seed=*/3);
  std::vector<std::string> alone;
  for (const char* threads : {"--threads=1", "--threads=2"}) {
    const auto server = Start({"--lame-duck=0s", threads});
    ASSERT_NE(server, nullptr);
    if (alone.empty()) {
      auto answers = ClassifyAlone(server->target(), "tiny", texts);
      ASSERT_TRUE(answers.ok()) << answers.status();
      alone = *std::move(answers);
    }

    const auto report = ClassifyInCrowd(server->target(), "tiny", texts, alone,
                                        {.requests = 1000});

    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_GE(report->inputs, 1000);
    EXPECT_EQ(report->differences, 0) << report->first_difference;
    // Batches did form, so the comparison means something.
    const auto samples = ReadMetrics(server->metrics_target());
    ASSERT_TRUE(samples.ok()) << samples.status();
    EXPECT_GT(Total(*samples, "tern_batch_sequences_sum"),
              Total(*samples, "tern_batch_sequences_count"));
    EXPECT_EQ(server->Stop(), 0);
  }
}

TEST_F(LoadTest, AccountsForEveryCallOfAStorm) {
  // A short queue, so that some calls are refused.
  const auto server = Start(
      {"--lame-duck=0s", "--max-waiting-requests=8", "--max-batch-tokens=256"});
  ASSERT_NE(server, nullptr);

  const StormReport report =
      RunStorm(server->target(), {.model = "tiny", .calls = 1000});

  const auto accounting = ReadAccounting(server->metrics_target());
  ASSERT_TRUE(accounting.ok()) << accounting.status();
  const absl::Status status = CheckAccounting(report, *accounting);
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(server->Stop(), 0) << server->process().Log();
}

// Calls without end; counts how they end.
class Callers {
 public:
  Callers(const ServerProcess& server, int count) {
    for (int i = 0; i < count; ++i) {
      ClientOptions options;
      options.retry = false;  // each call's own end is what counts
      options.user_agent = absl::StrCat("caller-", i);
      threads_.emplace_back(
          [this, client = server.NewClient(options)] { Call(*client); });
    }
  }
  ~Callers() { Join(); }

  void Join() {
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }

  std::atomic<int> answered = 0;
  std::atomic<int> other_errors = 0;

 private:
  // Until the server is gone.
  void Call(const Client& client) {
    v1::ClassifyRequest request;
    for (const std::string& text : RandomTexts(8, /*seed=*/5)) {
      request.add_inputs()->set_text(text);
    }
    while (true) {
      const auto response = client.Classify(request);
      if (response.ok() && response->results_size() == request.inputs_size()) {
        ++answered;
        continue;
      }
      // UNAVAILABLE where no connection is left; CANCELLED where the call came
      // while gRPC shut down, before any handler saw it.
      if (response.status().code() != absl::StatusCode::kUnavailable &&
          response.status().code() != absl::StatusCode::kCancelled) {
        ++other_errors;
        ADD_FAILURE() << response.status();
      }
      return;
    }
  }

  std::vector<std::thread> threads_;
};

TEST_F(LoadTest, LosesNoAcceptedRequestWhenToldToEndUnderLoad) {
  const auto server = Start({"--lame-duck=300ms"});
  ASSERT_NE(server, nullptr);
  Callers callers(*server, 16);
  while (callers.answered < 200) absl::SleepFor(absl::Milliseconds(1));

  server->process().Signal(SIGTERM);
  const int exit_code = server->process().Wait();
  callers.Join();

  EXPECT_EQ(exit_code, 0);
  EXPECT_EQ(callers.other_errors, 0);
  // Its last line says what it accepted, and what became of it: all of it was
  // answered, and each answer has reached its client.
  EXPECT_THAT(server->process().Log(),
              ::testing::ContainsRegex(absl::StrCat(
                  "stopped.*accepted=", callers.answered.load(), " answered=",
                  callers.answered.load(), " failed=0 cancelled=0 expired=0")));
}

TEST_F(LoadTest, SaysNotServingWhileItStillAnswersInTheLameDuckTime) {
  const auto server = Start({"--lame-duck=5s"});
  ASSERT_NE(server, nullptr);
  const auto client = server->NewClient({.retry = false});

  server->process().Signal(SIGTERM);
  const absl::Time end = absl::Now() + absl::Seconds(4);
  while (absl::Now() < end &&
         client->Health("").value() == ServerHealth::kServing) {
    absl::SleepFor(absl::Milliseconds(5));
  }

  EXPECT_EQ(client->Health("").value(), ServerHealth::kNotServing);
  v1::ClassifyRequest request;
  request.add_inputs()->set_text("a gripping film");
  EXPECT_TRUE(client->Classify(request).ok());
  EXPECT_EQ(server->process().Wait(), 0);
}

}  // namespace
}  // namespace tern

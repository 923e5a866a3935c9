#include "client/load_generator.h"

#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <set>

#include "absl/time/clock.h"

namespace tern {
namespace {

const auto kNoProgress = [](double) {};

TEST(LoadGeneratorTest, AClosedLoopKeepsItsSendersBusyAndNoMore) {
  std::atomic<int> under_way{0}, most{0};
  std::mutex mutex;
  std::set<int64_t> indices;

  const LoadResult result = RunLoad(
      {.senders = 3,
       .warm_up = absl::ZeroDuration(),
       .duration = absl::Milliseconds(200)},
      [&](int64_t index) {
        const int now = ++under_way;
        int seen = most;
        while (now > seen && !most.compare_exchange_weak(seen, now)) {
        }
        {
          std::lock_guard lock(mutex);
          EXPECT_TRUE(indices.insert(index).second);
        }
        absl::SleepFor(absl::Milliseconds(1));
        --under_way;
        return absl::OkStatus();
      },
      kNoProgress);

  EXPECT_LE(most, 3);
  EXPECT_GE(result.latencies.count(), 3);
  EXPECT_EQ(result.latencies.count(), static_cast<int64_t>(indices.size()));
  EXPECT_EQ(*indices.rbegin() + 1, static_cast<int64_t>(indices.size()));
  EXPECT_GE(result.latencies.Percentile(50), absl::Milliseconds(1));
}

// One sender, calls due every 10 ms on average, and one call that stalls for
// 300 ms: whoever measured only from the sending on would find one slow call.
TEST(LoadGeneratorTest, AStallCountsForTheCallsThatItHeldUp) {
  const LoadResult result = RunLoad(
      {.senders = 1,
       .rate = 100,
       .warm_up = absl::ZeroDuration(),
       .duration = absl::Milliseconds(300)},
      [&](int64_t index) {
        if (index == 0) absl::SleepFor(absl::Milliseconds(300));
        return absl::OkStatus();
      },
      kNoProgress);

  ASSERT_GT(result.latencies.count(), 5);
  EXPECT_GE(result.latencies.max(), absl::Milliseconds(300));
  EXPECT_GE(result.latencies.Percentile(50), absl::Milliseconds(50));
}

TEST(LoadGeneratorTest, ARateBringsAsManyCallsOnAverage) {
  std::atomic<int> calls{0};
  RunLoad(
      {.senders = 4,
       .rate = 2000,
       .warm_up = absl::Milliseconds(100),
       .duration = absl::Milliseconds(400)},
      [&](int64_t) {
        ++calls;
        return absl::OkStatus();
      },
      kNoProgress);

  // 1,000 on average, from a fixed seed; a slow machine sends late, not less.
  EXPECT_GT(calls, 850);
  EXPECT_LT(calls, 1150);
}

TEST(LoadGeneratorTest, CallsOfTheWarmUpDoNotCount) {
  std::atomic<int> calls{0};
  const LoadResult result = RunLoad(
      {.senders = 2,
       .rate = 500,
       .warm_up = absl::Milliseconds(200),
       .duration = absl::Milliseconds(200)},
      [&](int64_t) {
        ++calls;
        return absl::OkStatus();
      },
      kNoProgress);

  EXPECT_GT(result.latencies.count(), 0);
  EXPECT_LT(result.latencies.count(), calls);
}

TEST(LoadGeneratorTest, FailuresAreCountedApartAndTheFirstIsKept) {
  const LoadResult result = RunLoad(
      {.senders = 1,
       .rate = 1000,
       .warm_up = absl::ZeroDuration(),
       .duration = absl::Milliseconds(100)},
      [](int64_t index) {
        return index % 2 == 1 ? absl::UnavailableError("away")
                              : absl::OkStatus();
      },
      kNoProgress);

  EXPECT_GT(result.failed, 0);
  EXPECT_GT(result.latencies.count(), 0);
  EXPECT_EQ(result.first_failure, absl::UnavailableError("away"));
}

}  // namespace
}  // namespace tern

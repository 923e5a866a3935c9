#include "server/watchdog.h"

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

namespace tern {
namespace {

// Looks at two workers until told otherwise, and waits for what it says.
class WatchdogTest : public ::testing::Test {
 protected:
  void Watch(int limit) {
    watchdog_ = std::make_unique<Watchdog>(
        Watchdog::Options{.period = absl::Milliseconds(1), .limit = limit},
        [this] {
          std::lock_guard lock(mutex_);
          ++looks_;
          changed_.notify_all();
          return batches_;
        },
        [this](int stuck) {
          std::lock_guard lock(mutex_);
          reports_.push_back(stuck);
          changed_.notify_all();
        });
  }
  void Set(std::vector<int64_t> batches) {
    std::lock_guard lock(mutex_);
    batches_ = std::move(batches);
  }
  std::vector<int> AwaitReports(size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return reports_.size() >= count; });
    return reports_;
  }
  void AwaitMoreLooks(int count) {
    std::unique_lock lock(mutex_);
    const int enough = looks_ + count;
    changed_.wait(lock, [&] { return looks_ >= enough; });
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<int64_t> batches_ = {0, 0};
  std::vector<int> reports_;
  int looks_ = 0;
  std::unique_ptr<Watchdog> watchdog_;
};

TEST_F(WatchdogTest, SaysThatAWorkerIsStuckAndThatItIsNotAnyMore) {
  Set({7, 3});
  Watch(5);

  EXPECT_EQ(AwaitReports(1), std::vector<int>({2}));
  Set({0, 3});
  EXPECT_EQ(AwaitReports(2), std::vector<int>({2, 1}));
  Set({0, 0});
  EXPECT_EQ(AwaitReports(3), std::vector<int>({2, 1, 0}));
}

TEST_F(WatchdogTest, AnIdleWorkerIsNotStuck) {
  Watch(2);
  AwaitMoreLooks(20);

  watchdog_->Stop();
  EXPECT_TRUE(reports_.empty());
}

TEST_F(WatchdogTest, AWorkerThatGoesFromBatchToBatchIsNotStuck) {
  std::atomic<int64_t> batch = 0;
  std::atomic<int> reports = 0;
  {
    Watchdog watchdog(
        {.period = absl::Milliseconds(1), .limit = 2},
        [&] { return std::vector<int64_t>{++batch}; }, [&](int) { ++reports; });
    while (batch < 20) std::this_thread::yield();
  }
  EXPECT_EQ(reports, 0);
}

}  // namespace
}  // namespace tern

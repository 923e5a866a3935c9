#include "server/core_budget.h"

#include <atomic>
#include <optional>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace tern {
namespace {

TEST(CoreBudgetTest, ALoneLeaseMayTakeAllCores) {
  CoreBudget budget(4);
  CoreBudget::Lease lease = budget.Acquire();

  lease.ExtendTo(8);

  EXPECT_EQ(lease.cores(), 4);
}

TEST(CoreBudgetTest, ALeaseExtendsToWhatOthersLeave) {
  CoreBudget budget(4);
  CoreBudget::Lease other = budget.Acquire();
  {
    CoreBudget::Lease lease = budget.Acquire();
    lease.ExtendTo(2);
    EXPECT_EQ(lease.cores(), 2);
    lease.ExtendTo(4);
    EXPECT_EQ(lease.cores(), 3);
  }
  other.ExtendTo(4);
  EXPECT_EQ(other.cores(), 4);  // all came back
}

TEST(CoreBudgetTest, ALeaseKeepsWhatNobodyAwaits) {
  CoreBudget budget(4);
  CoreBudget::Lease lease = budget.Acquire();
  lease.ExtendTo(3);

  lease.GiveWhatOthersAwait();

  EXPECT_EQ(lease.cores(), 3);
}

TEST(CoreBudgetTest, ALeaseGivesWhatOthersAwaitButOne) {
  CoreBudget budget(3);
  CoreBudget::Lease lease = budget.Acquire();
  lease.ExtendTo(3);

  std::atomic<bool> given{false};
  std::vector<std::thread> others;
  for (int i = 0; i < 4; ++i) {
    others.emplace_back([&] {
      CoreBudget::Lease other = budget.Acquire();
      while (!given) std::this_thread::yield();
    });
  }
  while (lease.cores() > 1) lease.GiveWhatOthersAwait();
  given = true;
  for (std::thread& other : others) other.join();
  lease.ExtendTo(3);

  EXPECT_EQ(lease.cores(), 3);  // all came back
}

TEST(CoreBudgetTest, NeverMoreCoresThanThereAre) {
  constexpr int kCores = 3;
  CoreBudget budget(kCores);
  std::atomic<int> busy{0};
  std::atomic<int> most{0};
  std::vector<std::thread> workers;
  for (int w = 0; w < 6; ++w) {
    workers.emplace_back([&, w] {
      for (int i = 0; i < 500; ++i) {
        CoreBudget::Lease lease = budget.Acquire();
        if (w % 2 == 0) lease.ExtendTo(kCores);
        if (w % 3 == 0) lease.GiveWhatOthersAwait();
        const int now = busy += lease.cores();
        int seen = most;
        while (seen < now && !most.compare_exchange_weak(seen, now)) {
        }
        busy -= lease.cores();
      }
    });
  }
  for (std::thread& worker : workers) worker.join();

  EXPECT_LE(most, kCores);
  EXPECT_GE(most, 1);
}

}  // namespace
}  // namespace tern

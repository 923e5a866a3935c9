#include "tests/server/scheduler_simulation.h"

#include "gtest/gtest.h"

namespace tern {
namespace {

// script/verify scheduler-simulation runs ten million.
TEST(SchedulerSimulationTest, KeepsItsPromisesAtEveryStep) {
  const auto report = SimulateScheduler(/*requests=*/100000, /*seed=*/6);

  ASSERT_TRUE(report.ok()) << report.status();
  // It must have been through all of it.
  EXPECT_GT(report->answered, 1000);
  EXPECT_GT(report->failed, 100);
  EXPECT_GT(report->cancelled, 1000);
  EXPECT_GT(report->expired, 1000);
  EXPECT_GT(report->refused_full, 1000);
  EXPECT_GT(report->refused_late, 100);
  EXPECT_GT(report->drains, 1);
  EXPECT_GT(report->largest_lead_tokens, 0);
}

}  // namespace
}  // namespace tern

#include "model/thread_team.h"

#include <atomic>
#include <stdexcept>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace tern {
namespace {

TEST(ThreadTeamTest, RunsEachTaskOnceAtAnyTeamSize) {
  ThreadTeam team(4);
  for (int threads = 1; threads <= 4; ++threads) {
    team.Assemble(threads);
    EXPECT_EQ(team.threads(), threads);
    for (int tasks : {0, 1, 2, 3, 17, 1000}) {
      std::vector<std::atomic<int>> runs(tasks);
      team.For(tasks, [&](int index, int) { ++runs[index]; });
      for (const auto& run : runs) EXPECT_EQ(run, 1);
    }
    team.Dismiss();
  }
}

TEST(ThreadTeamTest, WritesOfOneLoopAreSeenInTheNext) {
  ThreadTeam team(3);
  team.Assemble(3);
  constexpr int kTasks = 64;
  std::vector<int> values(kTasks, 0);  // plain ints: the loop must order them
  for (int round = 0; round < 2000; ++round) {
    team.For(kTasks, [&](int index, int) { values[index] += index; });
  }
  for (int i = 0; i < kTasks; ++i) EXPECT_EQ(values[i], 2000 * i);
}

TEST(ThreadTeamTest, TasksAtTheSameTimeHaveDifferentThreads) {
  ThreadTeam team(4);
  team.Assemble(4);
  std::vector<std::atomic<bool>> busy(team.max_threads());
  std::atomic<bool> clash{false};
  for (int round = 0; round < 500; ++round) {
    team.For(100, [&](int, int thread) {
      if (busy[thread].exchange(true)) clash = true;
      busy[thread] = false;
    });
  }
  EXPECT_FALSE(clash);
}

TEST(ThreadTeamTest, AssemblesAndDismissesManyTimes) {
  ThreadTeam team(3);
  int sum = 0;
  for (int round = 0; round < 1000; ++round) {
    team.Assemble(1 + round % 3);
    std::atomic<int> part{0};
    team.For(10, [&](int index, int) { part += index; });
    sum += part;
    team.Dismiss();
  }
  EXPECT_EQ(sum, 1000 * 45);
}

TEST(ThreadTeamTest, AnExceptionOnAnyThreadReachesTheLeaderAndTheTeamGoesOn) {
  ThreadTeam team(3);
  team.Assemble(3);
  // A task a thread: each waits until all run.
  for (int thrower = 0; thrower < 3; ++thrower) {
    std::atomic<int> running{0};
    std::atomic<int> ended{0};
    const auto task = [&](int, int thread) {
      ++running;
      while (running < 3) std::this_thread::yield();
      if (thread == thrower) throw std::runtime_error("no memory");
      ++ended;
    };

    EXPECT_THROW(team.For(3, task), std::runtime_error);

    EXPECT_EQ(ended, 2);
  }
  int sum = 0;
  team.Dismiss();
  team.For(4, [&](int index, int) { sum += index; });
  EXPECT_EQ(sum, 6);
}

TEST(ThreadTeamTest, TeamIsNeverLargerThanItsMaximum) {
  ThreadTeam team(2);
  team.Assemble(100);
  EXPECT_EQ(team.threads(), 2);
  team.Assemble(0);
  EXPECT_EQ(team.threads(), 1);
}

}  // namespace
}  // namespace tern

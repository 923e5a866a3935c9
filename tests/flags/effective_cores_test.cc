#include "flags/effective_cores.h"

#include <sched.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "gtest/gtest.h"

namespace tern {
namespace {

// A made-up root with cgroup files.
class EffectiveCoresTest : public ::testing::Test {
 protected:
  EffectiveCoresTest()
      : root_(std::filesystem::path(::testing::TempDir()) /
              ::testing::UnitTest::GetInstance()->current_test_info()->name()) {
    std::filesystem::remove_all(root_);
  }
  void Write(const std::string& path, const std::string& text) {
    std::filesystem::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text << "\n";
  }
  static int AffinityCores() {
    cpu_set_t set;
    EXPECT_EQ(sched_getaffinity(0, sizeof(set), &set), 0);
    return CPU_COUNT(&set);
  }
  std::filesystem::path root_;
};

TEST_F(EffectiveCoresTest, WithoutCgroupsTheAffinityMaskCounts) {
  EXPECT_EQ(EffectiveCores(root_), AffinityCores());
}

TEST_F(EffectiveCoresTest, AQuotaOfVersion2Counts) {
  Write("proc/self/cgroup", "0::/a/b");
  Write("sys/fs/cgroup/a/b/cpu.max", "max 100000");
  Write("sys/fs/cgroup/a/cpu.max", "100000 100000");

  EXPECT_EQ(EffectiveCores(root_), 1);
}

TEST_F(EffectiveCoresTest, AQuotaOfVersion1Counts) {
  Write("proc/self/cgroup", "4:cpu,cpuacct:/x\n0::/");
  Write("sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_quota_us", "150000");
  Write("sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_period_us", "100000");

  EXPECT_EQ(EffectiveCores(root_), 1);
}

TEST_F(EffectiveCoresTest, HalfACoreIsOne) {
  Write("proc/self/cgroup", "0::/");
  Write("sys/fs/cgroup/cpu.max", "50000 100000");

  EXPECT_EQ(EffectiveCores(root_), 1);
}

TEST_F(EffectiveCoresTest, NoQuotaIsNoLimit) {
  Write("proc/self/cgroup", "4:cpu,cpuacct:/\n0::/");
  Write("sys/fs/cgroup/cpu.max", "max 100000");
  Write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1");
  Write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000");

  EXPECT_EQ(EffectiveCores(root_), AffinityCores());
}

}  // namespace
}  // namespace tern

#include "server/memory_trimmer.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "absl/time/clock.h"

namespace tern {
namespace {

TEST(TrimPolicyTest, TrimsOncePerPeakWhenItIsOver) {
  TrimPolicy policy;
  EXPECT_FALSE(policy.Look(100'000));
  EXPECT_FALSE(policy.Look(300'000));  // it grows
  EXPECT_FALSE(policy.Look(500'000));
  EXPECT_TRUE(policy.Look(500'000));
  policy.Trimmed(110'000);
  EXPECT_FALSE(policy.Look(110'000));
  EXPECT_FALSE(policy.Look(112'000));
}

TEST(TrimPolicyTest, LeavesMemoryAloneThatIsInUse) {
  TrimPolicy policy;
  policy.Look(100'000);
  policy.Look(500'000);
  ASSERT_TRUE(policy.Look(500'000));
  policy.Trimmed(500'000);  // nothing could be given back
  for (int look = 0; look < 10; ++look) EXPECT_FALSE(policy.Look(500'000));
}

TEST(MemoryTrimmerTest, GivesFreedMemoryBack) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer's malloc has no malloc_trim";
#endif
  MemoryTrimmer trimmer(absl::Milliseconds(20));
  absl::SleepFor(absl::Milliseconds(100));
  const int64_t before = ResidentBytes();
  // The last block keeps the heap from shrinking by itself.
  std::unique_ptr<char[]> last;
  {
    std::vector<std::unique_ptr<char[]>> blocks(10'000);
    for (auto& block : blocks) block = std::make_unique<char[]>(10'000);
    last = std::make_unique<char[]>(10'000);
    ASSERT_GT(ResidentBytes(), before + 90'000'000);
  }

  const absl::Time give_up = absl::Now() + absl::Seconds(60);
  while (ResidentBytes() > before + 10'000'000 && absl::Now() < give_up) {
    absl::SleepFor(absl::Milliseconds(10));
  }
  EXPECT_LE(ResidentBytes(), before + 10'000'000);
}

}  // namespace
}  // namespace tern

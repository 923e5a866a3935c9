#include "server/line_limiter.h"

#include <gtest/gtest.h>

namespace tern {
namespace {

TEST(LineLimiterTest, AdmitsSoManyLinesAPeriodAndCountsTheOthers) {
  LineLimiter limiter(/*lines=*/2, absl::Seconds(10));
  const absl::Time start = absl::FromUnixSeconds(1000);

  EXPECT_EQ(limiter.Admit(start), 0);
  EXPECT_EQ(limiter.Admit(start + absl::Seconds(9)), 0);
  EXPECT_EQ(limiter.Admit(start + absl::Seconds(9)), std::nullopt);
  EXPECT_EQ(limiter.Admit(start + absl::Seconds(9)), std::nullopt);
  EXPECT_EQ(limiter.Admit(start + absl::Seconds(10)), 2);
  EXPECT_EQ(limiter.Admit(start + absl::Seconds(11)), 0);
  EXPECT_EQ(limiter.Admit(start + absl::Seconds(12)), std::nullopt);
}

}  // namespace
}  // namespace tern

#include "server/tenant_counts.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace tern {
namespace {

TEST(TenantCountsTest, CountsEachTenantWhileThereAreFew) {
  TenantCounts counts(2);
  counts.AddRequest("a", true);
  counts.AddRequest("a", false);
  counts.AddTokens("a", 7);
  counts.AddRequest("b", true);

  const auto top = counts.top();
  ASSERT_EQ(top.size(), 2u);
  EXPECT_EQ(top.at("a").accepted, 1);
  EXPECT_EQ(top.at("a").refused, 1);
  EXPECT_EQ(top.at("a").computed_tokens, 7);
  EXPECT_EQ(counts.others().accepted, 0);
}

TEST(TenantCountsTest, ABusyTenantStaysWhileNamesAreInvented) {
  TenantCounts counts(10);
  for (int i = 0; i < 10000; ++i) {
    counts.AddRequest(absl::StrCat("invented", i), true);
    if (i % 5 == 0) counts.AddRequest("busy", true);
    ASSERT_LE(counts.top().size(), 10u);
  }

  ASSERT_TRUE(counts.top().contains("busy"));
  // It may have lost its place in the beginning, but nothing is lost in all.
  EXPECT_GT(counts.top().at("busy").accepted, 1900);
  int64_t all = counts.others().accepted;
  for (const auto& [tenant, entry] : counts.top()) all += entry.accepted;
  EXPECT_EQ(all, 12000);
}

TEST(TenantCountsTest, TellsNobodyApartWhereNoneShallBe) {
  TenantCounts counts(0);
  counts.AddRequest("a", true);
  counts.AddTokens("a", 3);

  EXPECT_TRUE(counts.top().empty());
  EXPECT_EQ(counts.others().accepted, 1);
  EXPECT_EQ(counts.others().computed_tokens, 3);
}

}  // namespace
}  // namespace tern

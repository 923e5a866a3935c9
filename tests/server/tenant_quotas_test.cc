#include "server/tenant_quotas.h"

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace tern {
namespace {

const absl::Time kStart = absl::FromUnixSeconds(1000);

TEST(TenantQuotasTest, GivesABurstThenTheRate) {
  TenantQuotas quotas({.tokens_per_second = 100});
  absl::Time now = kStart;
  int64_t taken = 0;
  while (now < kStart + absl::Seconds(10)) {
    if (quotas.Wait("a", now) == absl::ZeroDuration()) {
      quotas.Charge("a", 10, now);
      taken += 10;
    } else {
      now += absl::Milliseconds(1);
    }
  }

  // A burst of 100, one request more that it lets through, 100 a second.
  EXPECT_GE(taken, 1100);
  EXPECT_LE(taken, 1110);
}

TEST(TenantQuotasTest, ALongRequestIsTakenAndPaidForAfterwards) {
  TenantQuotas quotas({.tokens_per_second = 100});
  quotas.Charge("a", 1000, kStart);

  EXPECT_EQ(quotas.Wait("a", kStart), absl::Seconds(9));
  EXPECT_EQ(quotas.Wait("a", kStart + absl::Seconds(9)), absl::ZeroDuration());
}

TEST(TenantQuotasTest, TenantsPayForThemselvesAtTheirOwnRates) {
  TenantQuotas quotas(
      {.tokens_per_second = 100, .by_name = {{"slow", 10}, {"free", 0}}});
  for (const char* tenant : {"a", "slow", "free"}) {
    quotas.Charge(tenant, 1000, kStart);
  }

  EXPECT_EQ(quotas.Wait("a", kStart), absl::Seconds(9));
  EXPECT_EQ(quotas.Wait("slow", kStart), absl::Seconds(99));
  EXPECT_EQ(quotas.Wait("free", kStart), absl::ZeroDuration());
  EXPECT_EQ(quotas.Wait("b", kStart), absl::ZeroDuration());
}

TEST(TenantQuotasTest, ForgetsTenantsThatOweNothing) {
  TenantQuotas quotas({.tokens_per_second = 100});
  absl::Time now = kStart;
  for (int i = 0; i < 100000; ++i, now += absl::Milliseconds(10)) {
    quotas.Charge(absl::StrCat("invented", i), 10, now);
    ASSERT_LE(quotas.tenants_kept(), 64u);
  }
}

}  // namespace
}  // namespace tern

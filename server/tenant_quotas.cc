#include "server/tenant_quotas.h"

#include <algorithm>

namespace tern {

int64_t TenantQuotas::TokensPerSecond(const std::string& tenant) const {
  const auto own = options_.by_name.find(tenant);
  return own != options_.by_name.end() ? own->second
                                       : options_.tokens_per_second;
}

absl::Duration TenantQuotas::Wait(const std::string& tenant,
                                  absl::Time now) const {
  const auto paid_at = paid_at_.find(tenant);
  if (paid_at == paid_at_.end()) return absl::ZeroDuration();
  return std::max(absl::ZeroDuration(), paid_at->second - now - options_.burst);
}

void TenantQuotas::Charge(const std::string& tenant, int64_t tokens,
                          absl::Time now) {
  const int64_t rate = TokensPerSecond(tenant);
  if (rate == 0) return;
  absl::Time& paid_at = paid_at_[tenant];  // new: the epoch
  paid_at = std::max(paid_at, now) + absl::Seconds(1) * tokens / rate;
  if (paid_at_.size() >= forget_at_) ForgetPaid(now);
}

void TenantQuotas::ForgetPaid(absl::Time now) {
  for (auto tenant = paid_at_.begin(); tenant != paid_at_.end();) {
    tenant = tenant->second <= now ? paid_at_.erase(tenant) : ++tenant;
  }
  // Again when they are twice as many: a constant time for each charge.
  forget_at_ = std::max(kFewTenants, 2 * paid_at_.size());
}

}  // namespace tern

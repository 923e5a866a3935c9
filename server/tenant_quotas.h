// How many tokens a second each tenant may send, in the long run.
//
// A token bucket by the generic cell rate algorithm (ITU-T I.371): of a tenant
// only the time is kept at which all that it sent will be paid for, at its
// rate. It may send while that is at most a burst ahead; so a request of any
// length is taken in time, and what is longer than the burst is paid for
// afterwards.
//
// Tenants that owe nothing are forgotten, so that a client which invents names
// leaves nothing behind.
//
// Thread-compatible.

#ifndef TERN_SERVER_TENANT_QUOTAS_H_
#define TERN_SERVER_TENANT_QUOTAS_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "absl/time/time.h"

namespace tern {

class TenantQuotas {
 public:
  struct Options {
    int64_t tokens_per_second = 0;  // of each tenant; 0: any number
    std::map<std::string, int64_t> by_name = {};  // others than that
    absl::Duration burst = absl::Seconds(1);
  };

  explicit TenantQuotas(const Options& options) : options_(options) {}

  // The quota of a tenant, in tokens a second; 0: none.
  int64_t TokensPerSecond(const std::string& tenant) const;

  // Time until the tenant may send again; zero if now.
  absl::Duration Wait(const std::string& tenant, absl::Time now) const;

  // Books tokens of a request that was taken.
  void Charge(const std::string& tenant, int64_t tokens, absl::Time now);

  size_t tenants_kept() const { return paid_at_.size(); }

 private:
  static constexpr size_t kFewTenants = 64;

  void ForgetPaid(absl::Time now);

  const Options options_;
  std::map<std::string, absl::Time> paid_at_;
  size_t forget_at_ = kFewTenants;
};

}  // namespace tern

#endif  // TERN_SERVER_TENANT_QUOTAS_H_

// What tenants used of the server, for those that use most.
//
// However many tenants there are, only `most` are told apart; the others are
// summed up. Who stays is decided as in the Space-Saving algorithm (Metwally et
// al. 2005): a newcomer takes the place of the least busy one, and its rank. So
// whoever sends more than 1 of every `most` requests is always among them, even
// while another client invents names.
//
// Thread-compatible.

#ifndef TERN_SERVER_TENANT_COUNTS_H_
#define TERN_SERVER_TENANT_COUNTS_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

namespace tern {

class TenantCounts {
 public:
  struct Entry {
    int64_t accepted = 0;  // requests
    int64_t refused = 0;   // requests, for want of room or time
    int64_t computed_tokens = 0;
  };

  // 0: nobody is told apart.
  explicit TenantCounts(size_t most) : most_(most) {}

  // Count a request of the tenant, or tokens of one.
  void AddRequest(const std::string& tenant, bool accepted);
  void AddTokens(const std::string& tenant, int64_t tokens);

  // By name. Those that lost their place are among the others.
  std::map<std::string, Entry> top() const;
  const Entry& others() const { return others_; }

 private:
  struct Ranked {
    Entry entry;
    int64_t rank = 0;  // requests, at most so many
  };
  Entry& MakePlace(const std::string& tenant);

  const size_t most_;
  std::map<std::string, Ranked> top_;
  Entry others_;
};

}  // namespace tern

#endif  // TERN_SERVER_TENANT_COUNTS_H_

#include "server/tenant_counts.h"

#include <algorithm>

namespace tern {

void TenantCounts::AddRequest(const std::string& tenant, bool accepted) {
  Entry& entry = MakePlace(tenant);
  ++(accepted ? entry.accepted : entry.refused);
}

void TenantCounts::AddTokens(const std::string& tenant, int64_t tokens) {
  const auto found = top_.find(tenant);
  (found == top_.end() ? others_ : found->second.entry).computed_tokens +=
      tokens;
}

std::map<std::string, TenantCounts::Entry> TenantCounts::top() const {
  std::map<std::string, Entry> top;
  for (const auto& [tenant, ranked] : top_) top.emplace(tenant, ranked.entry);
  return top;
}

TenantCounts::Entry& TenantCounts::MakePlace(const std::string& tenant) {
  if (most_ == 0) return others_;
  const auto found = top_.find(tenant);
  if (found != top_.end()) {
    ++found->second.rank;
    return found->second.entry;
  }
  Ranked newcomer;
  newcomer.rank = 1;
  if (top_.size() == most_) {
    const auto least = std::min_element(top_.begin(), top_.end(),
                                        [](const auto& a, const auto& b) {
                                          return a.second.rank < b.second.rank;
                                        });
    newcomer.rank += least->second.rank;
    const Entry& gone = least->second.entry;
    others_.accepted += gone.accepted;
    others_.refused += gone.refused;
    others_.computed_tokens += gone.computed_tokens;
    top_.erase(least);
  }
  return top_.emplace(tenant, newcomer).first->second.entry;
}

}  // namespace tern

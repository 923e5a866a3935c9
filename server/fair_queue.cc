#include "server/fair_queue.h"

#include <algorithm>

namespace tern {
namespace {

bool HasDeadline(const Request& request) {
  return request.deadline != absl::InfiniteFuture();
}

std::pair<absl::Time, int64_t> BeginPlace(const Request& request) {
  return {request.progress.begin_by, request.progress.ticket};
}

bool UsesModel(const std::shared_ptr<Request>& request,
               const ServedModel* model) {
  return request->model.get() == model;
}

}  // namespace

FairQueue::Size& FairQueue::Size::operator+=(const Size& other) {
  requests += other.requests;
  tokens += other.tokens;
  bytes += other.bytes;
  return *this;
}

FairQueue::Size& FairQueue::Size::operator-=(const Size& other) {
  requests -= other.requests;
  tokens -= other.tokens;
  bytes -= other.bytes;
  return *this;
}

FairQueue::Size FairQueue::SizeOf(const Request& request) {
  constexpr int64_t kTokenBytes = 2 * sizeof(int32_t) + sizeof(TextSpan);
  Size size{.requests = 1,
            .bytes = std::max(request.message_bytes, request.memory_bytes)};
  for (const Encoding& sequence : request.sequences) {
    size.tokens += static_cast<int64_t>(sequence.ids.size());
    size.bytes += sizeof(Encoding);
  }
  size.bytes += size.tokens * kTokenBytes;
  return size;
}

void FairQueue::Add(std::shared_ptr<Request> request) {
  const Size size = SizeOf(*request);
  request->progress.untaken_tokens = size.tokens;
  request->progress.due = Due(*request);
  request->progress.ticket = next_ticket_++;
  const Place place = {request->progress.due, request->progress.ticket};

  const auto [entry, is_new] =
      tenants_.emplace(request->tenant, Ring::iterator());
  if (is_new) {
    entry->second = ring_.emplace(ring_.end());
    entry->second->name = request->tenant;
  }
  Tenant& tenant = *entry->second;
  tenant.size += size;
  size_ += size;
  request->progress.begin_by =
      request->deadline - request->progress.computing_time;
  if (HasDeadline(*request)) by_begin_.emplace(BeginPlace(*request), request);
  tenant.requests.emplace(place, std::move(request));
}

void FairQueue::Remove(const Request& request) {
  const auto entry = tenants_.find(request.tenant);
  Tenant& tenant = *entry->second;
  Size left = SizeOf(request);
  left.tokens = request.progress.untaken_tokens;
  Shrink(tenant, left);
  by_begin_.erase(BeginPlace(request));
  tenant.requests.erase({request.progress.due, request.progress.ticket});
  if (tenant.requests.empty()) {
    ring_.erase(entry->second);
    tenants_.erase(entry);
  }
}

Work FairQueue::Take(int max_tokens) {
  Work work;
  if (ring_.empty()) return work;
  const ServedModel* const model =
      ring_.front().requests.begin()->second->model.get();
  for (auto tenant = ring_.begin(); tenant != ring_.end();) {
    const bool has_model = std::any_of(
        tenant->requests.begin(), tenant->requests.end(),
        [&](const auto& entry) { return UsesModel(entry.second, model); });
    if (!has_model) {
      ++tenant;
      continue;
    }
    if (tenant->credit <= 0) tenant->credit += options_.turn_tokens;
    if (!TakeTurn(*tenant, model, max_tokens, work)) break;
    auto next = std::next(tenant);
    if (tenant->requests.empty()) {
      tenants_.erase(tenant->name);
      ring_.erase(tenant);
    } else if (tenant->credit <= 0) {
      ring_.splice(ring_.end(), ring_, tenant);
      if (next == ring_.end()) next = tenant;  // it is alone: its turn again
    }
    tenant = next;
  }
  return work;
}

bool FairQueue::TakeTurn(Tenant& tenant, const ServedModel* model,
                         int max_tokens, Work& work) {
  for (auto entry = tenant.requests.begin();
       entry != tenant.requests.end() && tenant.credit > 0;) {
    const std::shared_ptr<Request> request = entry->second;
    Request::Progress& progress = request->progress;
    while (UsesModel(request, model) && !request->fully_taken() &&
           tenant.credit > 0) {
      const int tokens = request->tokens(progress.taken);
      if (!work.empty() && work.tokens + tokens > max_tokens) return false;
      if (progress.taken == 0 && by_begin_.erase(BeginPlace(*request)) > 0) {
        progress.begin_by = request->deadline;
        by_begin_.emplace(BeginPlace(*request), request);
      }
      work.items.push_back({request, progress.taken++});
      work.tokens += tokens;
      tenant.credit -= tokens;
      progress.untaken_tokens -= tokens;
      Shrink(tenant, {.tokens = tokens});
    }
    if (!request->fully_taken()) {
      ++entry;
      continue;
    }
    Size rest = SizeOf(*request);
    rest.tokens = 0;
    Shrink(tenant, rest);
    by_begin_.erase(BeginPlace(*request));
    entry = tenant.requests.erase(entry);
  }
  return true;
}

std::shared_ptr<Request> FairQueue::MostUrgent() const {
  return by_begin_.empty() ? nullptr : by_begin_.begin()->second;
}

int64_t FairQueue::TokensUntil(const Request& request) const {
  int64_t own = SizeOf(request).tokens;
  const auto found = tenants_.find(request.tenant);
  if (found != tenants_.end()) {
    const absl::Time due = Due(request);
    for (const auto& [place, before] : found->second->requests) {
      if (place.first > due) break;
      own += before->progress.untaken_tokens;
    }
  }
  int64_t all = own;
  for (const Tenant& tenant : ring_) {
    if (tenant.name == request.tenant) continue;
    all += std::min(own, tenant.size.tokens);
  }
  return all;
}

FairQueue::Size FairQueue::SizeOfTenant(const std::string& tenant) const {
  const auto found = tenants_.find(tenant);
  return found == tenants_.end() ? Size() : found->second->size;
}

FairQueue::Size FairQueue::SizeOfOthers(const std::string& tenant,
                                        const Size& most) const {
  Size others;
  for (const Tenant& other : ring_) {
    if (other.name == tenant) continue;
    others += {.requests = std::min(other.size.requests, most.requests),
               .tokens = std::min(other.size.tokens, most.tokens),
               .bytes = std::min(other.size.bytes, most.bytes)};
  }
  return others;
}

absl::Time FairQueue::Due(const Request& request) const {
  return std::min(request.deadline,
                  request.queued_at + options_.max_overtaking);
}

void FairQueue::Shrink(Tenant& tenant, const Size& by) {
  tenant.size -= by;
  size_ -= by;
}

}  // namespace tern

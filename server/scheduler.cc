#include "server/scheduler.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "server/status_mapping.h"

namespace tern {
namespace {

// Of the tokens that a message's length promises.
constexpr double kExpectedPart = 0.75;
constexpr double kMostTokensPerByte = 0.4;
// Of the latest message in what messages have promised.
constexpr double kNewWeight = 0.05;
// Where the pace is not known.
constexpr absl::Duration kFirstRetryDelay = absl::Milliseconds(100);
constexpr absl::Duration kLeastRetryDelay = absl::Milliseconds(1);
constexpr absl::Duration kMostRetryDelay = absl::Seconds(10);

// Why a request need not be computed, or OK.
absl::Status ReasonToDrop(const Request& request, absl::Time now) {
  const Awaited awaited = request.progress.awaited;
  if (awaited == Awaited::kExpired || now >= request.deadline) {
    return absl::DeadlineExceededError("the deadline passed");
  }
  if (awaited == Awaited::kCancelled) {
    return absl::CancelledError("the client cancelled the call");
  }
  return absl::OkStatus();
}

absl::Status TooLateError() {
  return absl::DeadlineExceededError(
      "the deadline would pass before the answer: too much waits before it");
}

}  // namespace

Scheduler::Scheduler(const Options& options, const Clock* clock)
    : options_(options),
      clock_(clock),
      queue_(options.order),
      pace_(options.max_batch_tokens),
      tenants_(options.top_tenants),
      quotas_(options.quotas) {}

absl::Status Scheduler::Push(std::shared_ptr<Request> request) {
  const absl::Time now = clock_->Now();
  request->logits.resize(request->sequences.size());
  request->queued_at = now;

  const FairQueue::Size size = FairQueue::SizeOf(*request);
  Ended ended;
  absl::Status status;
  {
    std::lock_guard lock(mutex_);
    if (request->message_bytes > 0) {
      // Prose has a token for every three to five bytes. Windows that overlap
      // far, or signs of a byte each, have more, which is no reason to expect
      // as many of others' messages.
      const double seen =
          std::min(kMostTokensPerByte,
                   static_cast<double>(size.tokens) / request->message_bytes);
      tokens_per_byte_ += kNewWeight * (seen - tokens_per_byte_);
    }
    status = ReasonToDrop(*request, now);
    if (status.ok()) status = MakeRoom(request->tenant, size, now, ended);
    if (status.ok() && now + pace_.TimeOf(queue_.TokensUntil(*request), now) >
                           request->deadline) {
      status = TooLateError();
    }
    tenants_.AddRequest(request->tenant, status.ok());
    if (status.ok()) {
      request->progress.queued = true;
      request->progress.computing_time = pace_.TimeOf(size.tokens, now);
      quotas_.Charge(request->tenant, size.tokens, now);
      queue_.Add(std::move(request));
      ++counts_.accepted;
      ++counts_.in_flight;
    }
  }
  if (status.ok()) work_or_closed_.notify_one();
  CallDone(ended);
  return status;
}

absl::Status Scheduler::CheckRoom(const std::string& tenant,
                                  int64_t message_bytes) {
  Ended ended;
  absl::Status status;
  {
    std::lock_guard lock(mutex_);
    const double tokens =
        kExpectedPart * tokens_per_byte_ * static_cast<double>(message_bytes);
    status = MakeRoom(tenant,
                      {.requests = 1,
                       .tokens = std::max<int64_t>(1, std::llround(tokens)),
                       .bytes = message_bytes},
                      clock_->Now(), ended);
    if (!status.ok()) tenants_.AddRequest(tenant, false);
  }
  CallDone(ended);
  return status;
}

void Scheduler::Abandon(const std::shared_ptr<Request>& request,
                        Awaited reason) {
  const absl::Time now = clock_->Now();
  Ended ended;
  {
    std::lock_guard lock(mutex_);
    request->progress.awaited = reason;
    if (request->progress.queued && !request->progress.ended) {
      End(request, ReasonToDrop(*request, now), now, ended);
    }
  }
  CallDone(ended);
}

bool Scheduler::AwaitWork() {
  std::unique_lock lock(mutex_);
  work_or_closed_.wait(lock, [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return closed_ || !queue_.empty();
  });
  return !queue_.empty();
}

Work Scheduler::Take() {
  const absl::Time now = clock_->Now();
  Work work;
  Ended ended;
  bool more = false;
  {
    std::lock_guard lock(mutex_);
    const absl::Duration next_batch =
        pace_.BatchTime(queue_.size().tokens, now);
    DropExpired(now + next_batch, now, ended);
    work = queue_.Take(options_.max_batch_tokens);
    work.taken_at = now;
    for (const Work::Item& item : work.items) {
      if (item.sequence == 0) item.request->started_at = now;
    }
    more = !queue_.empty();
  }
  if (more) work_or_closed_.notify_one();
  CallDone(ended);
  return work;
}

void Scheduler::Finish(const Work& work, const absl::Status& status) {
  const absl::Time now = clock_->Now();
  Ended ended;
  {
    std::lock_guard lock(mutex_);
    for (const Work::Item& item : work.items) {
      Request& request = *item.request;
      const absl::Status reason = ReasonToDrop(request, now);
      const int tokens = request.tokens(item.sequence);
      counts_.computed_tokens += tokens;
      tenants_.AddTokens(request.tenant, tokens);
      if (request.progress.ended) {
        counts_.unawaited_tokens += tokens;
        continue;
      }
      ++request.progress.computed;
      request.progress.computed_tokens += tokens;
      if (!reason.ok()) {
        End(item.request, reason, now, ended);
      } else if (!status.ok()) {
        End(item.request, status, now, ended);
      } else if (request.progress.computed ==
                 static_cast<int>(request.sequences.size())) {
        End(item.request, absl::OkStatus(), now, ended);
      }
    }
    pace_.Observe(work.tokens, work.taken_at, now);
  }
  CallDone(ended);
}

bool Scheduler::Abandoned(const Work& work) const {
  const absl::Time now = clock_->Now();
  std::lock_guard lock(mutex_);
  return std::all_of(work.items.begin(), work.items.end(),
                     [now](const Work::Item& item) {
                       return item.request->progress.ended ||
                              !ReasonToDrop(*item.request, now).ok();
                     });
}

void Scheduler::Close() {
  {
    std::lock_guard lock(mutex_);
    closed_ = true;
  }
  work_or_closed_.notify_all();
}

bool Scheduler::HasWaiting() const {
  std::lock_guard lock(mutex_);
  return !queue_.empty();
}

Scheduler::Counts Scheduler::counts() const {
  std::lock_guard lock(mutex_);
  Counts counts = counts_;
  counts.waiting_requests = queue_.size().requests;
  counts.waiting_tokens = queue_.size().tokens;
  counts.waiting_bytes = queue_.size().bytes;
  return counts;
}

TenantCounts Scheduler::tenants() const {
  std::lock_guard lock(mutex_);
  return tenants_;
}

void Scheduler::CallDone(const Ended& ended) {
  for (const auto& [request, status] : ended) request->done(status);
}

void Scheduler::End(const std::shared_ptr<Request>& request,
                    absl::Status status, absl::Time now, Ended& ended) {
  if (!request->fully_taken()) {
    queue_.Remove(*request);
    // What nobody takes any more needs no taking.
    request->progress.taken = static_cast<int>(request->sequences.size());
  }
  request->progress.ended = true;
  request->ended_at = now;
  --counts_.in_flight;
  switch (status.code()) {
    case absl::StatusCode::kOk:
      ++counts_.answered;
      break;
    case absl::StatusCode::kCancelled:
      ++counts_.cancelled;
      counts_.unawaited_tokens += request->progress.computed_tokens;
      break;
    case absl::StatusCode::kDeadlineExceeded:
      ++counts_.expired;
      counts_.unawaited_tokens += request->progress.computed_tokens;
      break;
    default:
      ++counts_.failed;
  }
  ended.emplace_back(request, std::move(status));
}

void Scheduler::DropExpired(absl::Time then, absl::Time now, Ended& ended) {
  while (const auto request = queue_.MostUrgent()) {
    if (request->progress.begin_by > then) break;
    const absl::Status reason = ReasonToDrop(*request, now);
    End(request, reason.ok() ? TooLateError() : reason, now, ended);
  }
}

bool Scheduler::HasRoom(const std::string& tenant,
                        const FairQueue::Size& more) const {
  if (queue_.empty()) return true;
  const FairQueue::Size own = queue_.SizeOfTenant(tenant);
  const auto part_of = [share = options_.tenant_share](int64_t bound) {
    return static_cast<int64_t>(share * static_cast<double>(bound));
  };
  // A request of any length is taken when nothing waits, but does not fill the
  // room of others.
  const FairQueue::Size others = queue_.SizeOfOthers(
      tenant, {.requests = part_of(options_.max_waiting_requests),
               .tokens = part_of(options_.max_waiting_tokens),
               .bytes = part_of(options_.max_waiting_bytes)});
  const bool newcomer =
      own.requests == 0 && more.tokens <= options_.max_batch_tokens;
  const double share = newcomer ? 1 : options_.tenant_share;
  const auto fits = [&](int64_t FairQueue::Size::*part, int64_t bound) {
    const int64_t left = bound - others.*part;
    return own.*part + more.*part <= share * static_cast<double>(left);
  };
  return fits(&FairQueue::Size::requests, options_.max_waiting_requests) &&
         fits(&FairQueue::Size::tokens, options_.max_waiting_tokens) &&
         fits(&FairQueue::Size::bytes, options_.max_waiting_bytes);
}

absl::Status Scheduler::MakeRoom(const std::string& tenant,
                                 const FairQueue::Size& more, absl::Time now,
                                 Ended& ended) {
  if (closed_) return absl::UnavailableError("the server is shutting down");
  const absl::Duration wait = quotas_.Wait(tenant, now);
  if (wait > absl::ZeroDuration()) {
    return QuotaExceededError(
        absl::StrCat("this tenant has used up its quota of ",
                     quotas_.TokensPerSecond(tenant), " tokens a second"),
        wait);
  }
  if (!HasRoom(tenant, more)) DropExpired(now, now, ended);
  if (HasRoom(tenant, more)) return absl::OkStatus();
  const FairQueue::Size own = queue_.SizeOfTenant(tenant);
  const FairQueue::Size& all = queue_.size();
  return QueueFullError(
      absl::StrCat("the queue is full: ", all.requests, " of ",
                   options_.max_waiting_requests, " requests, ", all.tokens,
                   " of ", options_.max_waiting_tokens, " tokens and ",
                   all.bytes, " of ", options_.max_waiting_bytes,
                   " bytes wait, of this tenant ", own.requests, " requests, ",
                   own.tokens, " tokens and ", own.bytes, " bytes"),
      RetryDelay(now));
}

absl::Duration Scheduler::RetryDelay(absl::Time now) const {
  if (!pace_.known(now)) return kFirstRetryDelay;
  // Half of the queue: there is room again, and the workers are not idle yet.
  return std::clamp(pace_.TimeOf(queue_.size().tokens / 2, now),
                    kLeastRetryDelay, kMostRetryDelay);
}

}  // namespace tern

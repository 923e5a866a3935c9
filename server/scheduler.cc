#include "server/scheduler.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "absl/strings/str_cat.h"
#include "server/status_mapping.h"

namespace tern {
namespace {

// How long a measured drain rate counts: it halves about every 7 seconds.
constexpr double kDrainMemorySeconds = 10;
// Before anything was measured.
constexpr absl::Duration kFirstRetryDelay = absl::Milliseconds(100);
constexpr absl::Duration kLeastRetryDelay = absl::Milliseconds(1);
constexpr absl::Duration kMostRetryDelay = absl::Seconds(10);

int Tokens(const Request& request, int sequence) {
  return static_cast<int>(request.sequences[sequence].ids.size());
}

bool FullyTaken(const Request& request) {
  return request.progress.taken == static_cast<int>(request.sequences.size());
}

int64_t UntakenTokens(const Request& request) {
  int64_t tokens = 0;
  for (size_t s = request.progress.taken; s < request.sequences.size(); ++s) {
    tokens += Tokens(request, s);
  }
  return tokens;
}

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

}  // namespace

Scheduler::Scheduler(const Options& options, const Clock* clock)
    : options_(options), clock_(clock) {}

absl::Status Scheduler::Push(std::shared_ptr<Request> request) {
  const absl::Time now = clock_->Now();
  const int64_t tokens = UntakenTokens(*request);
  request->logits.resize(request->sequences.size());
  request->queued_at = now;

  const auto full = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return !waiting_.empty() &&
           (static_cast<int>(waiting_.size()) >=
                options_.max_waiting_requests ||
            counts_.waiting_tokens + tokens > options_.max_waiting_tokens);
  };
  Ended ended;
  absl::Status status;
  {
    std::lock_guard lock(mutex_);
    if (!closed_ && full()) DropExpired(now, ended);
    if (const absl::Status reason = ReasonToDrop(*request, now); !reason.ok()) {
      status = reason;
    } else if (closed_) {
      status = absl::UnavailableError("the server is shutting down");
    } else if (full()) {
      status = QueueFullError(
          absl::StrCat("the queue is full: ", waiting_.size(), " of ",
                       options_.max_waiting_requests, " requests and ",
                       counts_.waiting_tokens, " of ",
                       options_.max_waiting_tokens,
                       " tokens wait, and this request has ", tokens),
          RetryDelay());
    } else {
      request->progress.queued = true;
      waiting_.push_back(std::move(request));
      counts_.waiting_tokens += tokens;
      ++counts_.accepted;
      ++counts_.in_flight;
    }
  }
  if (status.ok()) work_or_closed_.notify_one();
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
    return closed_ || !waiting_.empty();
  });
  return !waiting_.empty();
}

Work Scheduler::Take() {
  Work work;
  work.taken_at = clock_->Now();
  Ended ended;
  bool more = false;
  {
    std::lock_guard lock(mutex_);
    DropExpired(work.taken_at, ended);
    const ServedModel* model =
        waiting_.empty() ? nullptr : waiting_.front()->model.get();
    bool room = true;
    for (auto next = waiting_.begin(); room && next != waiting_.end();) {
      const std::shared_ptr<Request> request = *next;
      if (request->model.get() != model) {
        ++next;
        continue;
      }
      if (request->progress.taken == 0) request->started_at = work.taken_at;
      while (room && !FullyTaken(*request)) {
        const int tokens = Tokens(*request, request->progress.taken);
        room =
            work.empty() || work.tokens + tokens <= options_.max_batch_tokens;
        if (!room) break;
        work.items.push_back({request, request->progress.taken++});
        work.tokens += tokens;
      }
      if (FullyTaken(*request)) next = waiting_.erase(next);
    }
    counts_.waiting_tokens -= work.tokens;
    more = !waiting_.empty();
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
      const int tokens = Tokens(request, item.sequence);
      counts_.computed_tokens += tokens;
      if (request.progress.ended || !reason.ok()) {
        counts_.unawaited_tokens += tokens;
      }
      if (request.progress.ended) continue;
      ++request.progress.computed;
      if (!reason.ok()) {
        End(item.request, reason, now, ended);
      } else if (!status.ok()) {
        End(item.request, status, now, ended);
      } else if (request.progress.computed ==
                 static_cast<int>(request.sequences.size())) {
        End(item.request, absl::OkStatus(), now, ended);
      }
    }
    MeasureDrainRate(work, now);
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
  return !waiting_.empty();
}

Scheduler::Counts Scheduler::counts() const {
  std::lock_guard lock(mutex_);
  Counts counts = counts_;
  counts.waiting_requests = static_cast<int64_t>(waiting_.size());
  return counts;
}

void Scheduler::CallDone(const Ended& ended) {
  for (const auto& [request, status] : ended) request->done(status);
}

void Scheduler::End(const std::shared_ptr<Request>& request,
                    absl::Status status, absl::Time now, Ended& ended) {
  if (!FullyTaken(*request)) Unqueue(*request);
  request->progress.ended = true;
  request->ended_at = now;
  --counts_.in_flight;
  switch (status.code()) {
    case absl::StatusCode::kOk:
      ++counts_.answered;
      break;
    case absl::StatusCode::kCancelled:
      ++counts_.cancelled;
      break;
    case absl::StatusCode::kDeadlineExceeded:
      ++counts_.expired;
      break;
    default:
      ++counts_.failed;
  }
  ended.emplace_back(request, std::move(status));
}

void Scheduler::Unqueue(Request& request) {
  counts_.waiting_tokens -= UntakenTokens(request);
  request.progress.taken = static_cast<int>(request.sequences.size());
  std::erase_if(waiting_, [&request](const std::shared_ptr<Request>& other) {
    return other.get() == &request;
  });
}

void Scheduler::DropExpired(absl::Time now, Ended& ended) {
  std::vector<std::shared_ptr<Request>> expired;
  std::copy_if(waiting_.begin(), waiting_.end(), std::back_inserter(expired),
               [now](const std::shared_ptr<Request>& request) {
                 return !ReasonToDrop(*request, now).ok();
               });
  for (const std::shared_ptr<Request>& request : expired) {
    End(request, ReasonToDrop(*request, now), now, ended);
  }
}

void Scheduler::MeasureDrainRate(const Work& work, absl::Time now) {
  // Workers overlap: count the time since the last measurement only once.
  const double seconds =
      absl::ToDoubleSeconds(now - std::max(work.taken_at, drain_measured_at_));
  const double kept = std::exp(-seconds / kDrainMemorySeconds);
  drained_tokens_ = drained_tokens_ * kept + work.tokens;
  drained_seconds_ = drained_seconds_ * kept + seconds;
  drain_measured_at_ = now;
}

absl::Duration Scheduler::RetryDelay() const {
  if (drained_tokens_ <= 0 || drained_seconds_ <= 0) return kFirstRetryDelay;
  // Half of the queue: there is room again, and the workers are not idle yet.
  const double seconds =
      counts_.waiting_tokens / 2.0 / (drained_tokens_ / drained_seconds_);
  return std::clamp(absl::Seconds(seconds), kLeastRetryDelay, kMostRetryDelay);
}

}  // namespace tern

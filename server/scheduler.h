// Groups waiting sequences into batches.
//
// Handlers push requests, workers pull batches; there is no scheduler thread
// and no timer: an idle server answers at once, and a busy one fills its
// batches by itself, since requests gather while the workers compute. What is
// handed out is a sequence: a request of a thousand texts is spread over as
// many batches as it needs. FairQueue is the order in which that happens, and
// Pace foresees when: what cannot be answered before its deadline is refused or
// dropped early, so that workers compute what somebody awaits.
//
// Every request that Push takes ends in exactly one way, and the scheduler
// counts them:  accepted = answered + failed + cancelled + expired + in flight.
//
// Thread-safe.

#ifndef TERN_SERVER_SCHEDULER_H_
#define TERN_SERVER_SCHEDULER_H_

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/clock.h"
#include "server/fair_queue.h"
#include "server/pace.h"
#include "server/request.h"
#include "server/tenant_counts.h"
#include "server/tenant_quotas.h"

namespace tern {

class Scheduler {
 public:
  struct Options {
    int max_batch_tokens = 1024;      // summed over sequences; we never pad
    int max_waiting_requests = 1024;  // past any of these three we shed load
    int64_t max_waiting_tokens = 1 << 18;
    int64_t max_waiting_bytes = 256 << 20;
    // Of the room that the other tenants leave in the queue, the part that a
    // tenant may fill; all of it with its first request, if that is no longer
    // than a batch.
    double tenant_share = 1;
    int top_tenants = 0;  // that are counted one by one
    TenantQuotas::Options quotas = {};
    FairQueue::Options order = {};
  };

  // A consistent view at one moment.
  struct Counts {
    int64_t accepted = 0;
    int64_t answered = 0;
    int64_t failed = 0;
    int64_t cancelled = 0;
    int64_t expired = 0;
    int64_t in_flight = 0;         // accepted and not ended
    int64_t waiting_requests = 0;  // with sequences that no worker has taken
    int64_t waiting_tokens = 0;    // in those sequences
    int64_t waiting_bytes = 0;     // of memory, in those requests
    int64_t computed_tokens = 0;   // in batches that workers ended
    int64_t unawaited_tokens = 0;  // thereof for cancelled and expired requests
  };

  // `clock` outlives the scheduler.
  Scheduler(const Options& options, const Clock* clock);

  // Queues `request`, whose `done` will be called exactly once.
  // On error `done` is never called and the caller answers the client.
  // Errors: RESOURCE_EXHAUSTED with the time after which to retry
  // (status_mapping.h) when full, or when the tenant has used up its quota;
  // UNAVAILABLE after Close(); DEADLINE_EXCEEDED
  // for a request whose deadline has passed, or will have before what is ahead
  // of it and itself can be computed; CANCELLED for an abandoned one. A request
  // larger than the queue is taken when nothing waits.
  absl::Status Push(std::shared_ptr<Request> request);

  // What Push would say of a request of the tenant whose message is that long
  // (UNAVAILABLE, RESOURCE_EXHAUSTED): a handler asks before it does the work
  // of making one. It is taken to have three quarters of the tokens that
  // messages of its length have had, so one that just fits may be refused.
  absl::Status CheckRoom(const std::string& tenant, int64_t message_bytes);

  // Says that nobody awaits the answer any more: ends a request that Push took
  // and that has not ended, at once, as expired or cancelled; what it had
  // waiting makes room. A request that Push has yet to see will be refused.
  void Abandon(const std::shared_ptr<Request>& request, Awaited reason);

  // Sleeps until something waits. False: closed, and nothing waits any more.
  bool AwaitWork();

  // Takes the next batch; at least one sequence, at most max_batch_tokens
  // unless a single one is longer. Ends the requests whose deadline will pass
  // before the batch is computed. Empty where nothing waits.
  Work Take();

  // Hands a batch back. On OK the worker has filled in the logits of all its
  // sequences; otherwise their requests end with `status`.
  void Finish(const Work& work, const absl::Status& status);

  // Whether all its requests have ended, or passed their deadlines: none of its
  // sequences need be computed. Asked between layers.
  bool Abandoned(const Work& work) const;

  // Takes no more requests; what waits is still handed out.
  void Close();

  bool HasWaiting() const;
  Counts counts() const;
  TenantCounts tenants() const;

 private:
  // A request that has ended but whose `done` has not been called.
  using Ended = std::vector<std::pair<std::shared_ptr<Request>, absl::Status>>;

  static void CallDone(const Ended& ended);

  // Ends a request in the way that `status` says.
  void End(const std::shared_ptr<Request>& request, absl::Status status,
           absl::Time now, Ended& ended) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Ends the waiting requests that make no deadline if begun at `then`.
  void DropExpired(absl::Time then, absl::Time now, Ended& ended)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Whether the queue has room for so much more of a tenant's.
  bool HasRoom(const std::string& tenant, const FairQueue::Size& more) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // OK where the tenant may send more and the queue has room for it, which is
  // made where that can be; or why not.
  absl::Status MakeRoom(const std::string& tenant, const FairQueue::Size& more,
                        absl::Time now, Ended& ended)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Duration RetryDelay(absl::Time now) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Options options_;
  const Clock* const clock_;

  // std::mutex, which ThreadSanitizer sees; Debian's Abseil is not
  // instrumented.
  mutable std::mutex mutex_;
  std::condition_variable work_or_closed_;
  // Requests with sequences that no worker has taken.
  FairQueue queue_ ABSL_GUARDED_BY(mutex_);
  Pace pace_ ABSL_GUARDED_BY(mutex_);
  Counts counts_ ABSL_GUARDED_BY(mutex_);  // but for waiting_*: the queue's
  TenantCounts tenants_ ABSL_GUARDED_BY(mutex_);
  TenantQuotas quotas_ ABSL_GUARDED_BY(mutex_);
  // Of the messages that came, fading.
  double tokens_per_byte_ ABSL_GUARDED_BY(mutex_) = 0;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace tern

#endif  // TERN_SERVER_SCHEDULER_H_

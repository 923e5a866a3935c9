// Groups waiting sequences into batches.
//
// Handlers push requests, workers pull batches; there is no scheduler thread
// and no timer: an idle server answers at once, and a busy one fills its
// batches by itself, since requests gather while the workers compute. What is
// handed out is a sequence: a request of a thousand texts is spread over as
// many batches as it needs. A batch has one model, that of the oldest waiting
// request; younger requests of the same model fill it up, in order. So no
// request is overtaken by more than one batch of another model's.
//
// Every request that Push takes ends in exactly one way, and the scheduler
// counts them:  accepted = answered + failed + cancelled + expired + in flight.
//
// Thread-safe.

#ifndef TERN_SERVER_SCHEDULER_H_
#define TERN_SERVER_SCHEDULER_H_

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/clock.h"
#include "server/request.h"

namespace tern {

// The sequences that a worker computes together, all of one model.
struct Work {
  struct Item {
    std::shared_ptr<Request> request;
    int sequence = 0;
  };
  std::vector<Item> items;
  int tokens = 0;
  absl::Time taken_at;

  bool empty() const { return items.empty(); }
  const ServedModel& model() const { return *items.front().request->model; }
};

class Scheduler {
 public:
  struct Options {
    int max_batch_tokens = 1024;      // summed over sequences; we never pad
    int max_waiting_requests = 1024;  // past either of these we shed load
    int64_t max_waiting_tokens = 1 << 18;
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
    int64_t computed_tokens = 0;   // in batches that workers ended
    int64_t unawaited_tokens = 0;  // thereof for requests that nobody awaited
  };

  // `clock` outlives the scheduler.
  Scheduler(const Options& options, const Clock* clock);

  // Queues `request`, whose `done` will be called exactly once.
  // On error `done` is never called and the caller answers the client.
  // Errors: RESOURCE_EXHAUSTED with the time after which to retry
  // (status_mapping.h) when full; UNAVAILABLE after Close(); DEADLINE_EXCEEDED
  // for a request whose deadline has passed; CANCELLED for an abandoned one. A
  // request larger than max_waiting_tokens is taken when nothing waits.
  absl::Status Push(std::shared_ptr<Request> request);

  // Says that nobody awaits the answer any more: ends a request that Push took
  // and that has not ended, at once, as expired or cancelled; what it had
  // waiting makes room. A request that Push has yet to see will be refused.
  void Abandon(const std::shared_ptr<Request>& request, Awaited reason);

  // Sleeps until something waits. False: closed, and nothing waits any more.
  bool AwaitWork();

  // Takes the next batch; at least one sequence, at most max_batch_tokens
  // unless a single one is longer. Ends the requests it finds whose deadline
  // has passed. Empty where nothing waits.
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

 private:
  // A request that has ended but whose `done` has not been called.
  using Ended = std::vector<std::pair<std::shared_ptr<Request>, absl::Status>>;

  static void CallDone(const Ended& ended);

  // Ends a request in the way that `status` says.
  void End(const std::shared_ptr<Request>& request, absl::Status status,
           absl::Time now, Ended& ended) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Forgets the sequences that no worker has taken.
  void Unqueue(Request& request) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Ends the waiting requests whose deadline has passed.
  void DropExpired(absl::Time now, Ended& ended)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void MeasureDrainRate(const Work& work, absl::Time now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Duration RetryDelay() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Options options_;
  const Clock* const clock_;

  // std::mutex, which ThreadSanitizer sees; Debian's Abseil is not
  // instrumented.
  mutable std::mutex mutex_;
  std::condition_variable work_or_closed_;
  // Requests with sequences that no worker has taken, oldest first.
  std::deque<std::shared_ptr<Request>> waiting_ ABSL_GUARDED_BY(mutex_);
  Counts counts_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  // Tokens that workers computed and the time it took, both fading.
  double drained_tokens_ ABSL_GUARDED_BY(mutex_) = 0;
  double drained_seconds_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Time drain_measured_at_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
};

}  // namespace tern

#endif  // TERN_SERVER_SCHEDULER_H_

// A thread that computes batches.
//
// It sleeps until something waits, leases a core, takes a batch from the
// scheduler, runs the engine on it and hands the logits back. It owns all
// memory that a pass needs and the helper threads that share a pass when cores
// are free, so workers share nothing but the models. Between layers it lets
// another worker have the cores of its helpers, or takes those that have become
// free.
//
// The batch is taken after the lease: while all cores are busy, requests gather
// in the queue and the batch that is taken then is fuller.

#ifndef TERN_SERVER_WORKER_H_
#define TERN_SERVER_WORKER_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "model/batch.h"
#include "model/thread_team.h"
#include "model/workspace.h"
#include "server/clock.h"
#include "server/core_budget.h"
#include "server/metrics.h"
#include "server/model_registry.h"
#include "server/scheduler.h"

namespace tern {

class Worker {
 public:
  struct Options {
    int max_batch_tokens = 1024;  // memory grows for a longer sequence
    int max_threads = 1;          // per batch
  };

  // Starts the thread, which runs until the scheduler is closed and empty.
  // `models` are those that room is made for at once. The pointers outlive the
  // worker.
  Worker(const Options& options, const Clock* clock, Scheduler* scheduler,
         CoreBudget* cores, Metrics* metrics,
         const std::vector<std::shared_ptr<const ServedModel>>& models);
  // Waits for the end of the thread: close the scheduler first.
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // The number of the batch that it works on, from 1; 0 between batches.
  // Thread-safe.
  int64_t current_batch() const { return current_batch_; }

 private:
  void Run();
  // Compute, with whatever is thrown (std::bad_alloc, from a library) as an
  // INTERNAL error: it ends the batch's requests, not the server.
  absl::Status TryToCompute(const Work& work, CoreBudget::Lease& lease);
  absl::Status Compute(const Work& work, CoreBudget::Lease& lease);
  // Makes the team as large as others leave it. No loop of the team is running.
  void ShareCores(CoreBudget::Lease& lease);

  const Clock* const clock_;
  Scheduler* const scheduler_;
  CoreBudget* const cores_;
  Metrics* const metrics_;

  std::atomic<int64_t> current_batch_{0};

  // The thread's own.
  ThreadTeam team_;
  Workspace workspace_;
  Batch batch_;

  std::thread thread_;  // last: it uses all of the above
};

}  // namespace tern

#endif  // TERN_SERVER_WORKER_H_

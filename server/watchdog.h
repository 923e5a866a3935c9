// Tells when workers are stuck.
//
// It looks at all workers once per period. One that works on the same batch at
// `limit` looks in a row is stuck: a model that never returns, a deadlock, a
// disk that does not answer. Time in which the whole process stood still
// (SIGSTOP, the cgroup freezer, a suspended machine) does not count, since it
// did not look meanwhile.
//
// Thread-safe.

#ifndef TERN_SERVER_WATCHDOG_H_
#define TERN_SERVER_WATCHDOG_H_

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"

namespace tern {

class Watchdog {
 public:
  struct Options {
    absl::Duration period = absl::Seconds(1);
    int limit = 60;
  };

  // `current_batches` says each worker's current_batch(); `changed` is told how
  // many are stuck whenever this changes. Both are called on a thread of its
  // own until Stop().
  Watchdog(const Options& options,
           std::function<std::vector<int64_t>()> current_batches,
           std::function<void(int)> changed);
  ~Watchdog() { Stop(); }
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  void Stop();

 private:
  void Run();

  const Options options_;
  const std::function<std::vector<int64_t>()> current_batches_;
  const std::function<void(int)> changed_;

  std::mutex mutex_;
  std::condition_variable stop_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace tern

#endif  // TERN_SERVER_WATCHDOG_H_

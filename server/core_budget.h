// The cores that workers may keep busy, so that threads never outnumber them.
//
// A worker leases one core before it takes a batch, and more of them if nothing
// else waits; it gives those back when another worker awaits one, the last
// after the batch. So a lone request runs on all cores, and a loaded server
// runs one batch per core.
//
// Thread-safe; a Lease belongs to one thread.

#ifndef TERN_SERVER_CORE_BUDGET_H_
#define TERN_SERVER_CORE_BUDGET_H_

#include <condition_variable>
#include <mutex>

#include "absl/base/thread_annotations.h"

namespace tern {

class CoreBudget {
 public:
  // Cores held until the end of its life.
  class Lease {
   public:
    Lease(Lease&& other);
    Lease(const Lease&) = delete;
    ~Lease();

    // Takes free cores, without waiting, until it holds `cores` or none is
    // free.
    void ExtendTo(int cores);
    // Gives back as many cores as others await, but keeps one.
    void GiveWhatOthersAwait();
    int cores() const { return cores_; }

   private:
    friend class CoreBudget;
    explicit Lease(CoreBudget* budget) : budget_(budget) {}

    CoreBudget* budget_;
    int cores_ = 1;
  };

  // `cores` >= 1.
  explicit CoreBudget(int cores) : free_(cores) {}

  // Waits for a core.
  Lease Acquire();

 private:
  // std::mutex, which ThreadSanitizer sees; Debian's Abseil is not
  // instrumented.
  std::mutex mutex_;
  std::condition_variable freed_;
  int free_ ABSL_GUARDED_BY(mutex_);
  int awaited_ ABSL_GUARDED_BY(mutex_) = 0;  // by threads in Acquire
};

}  // namespace tern

#endif  // TERN_SERVER_CORE_BUDGET_H_

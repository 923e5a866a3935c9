// Gives memory back to the system when a peak is over.
//
// glibc keeps what was freed for the next allocation, also when that was a
// thousand connections' worth. So a thread looks at the resident memory now and
// then, and where it has come to rest above what it last was after a trim, it
// trims.
//
// Thread-safe.

#ifndef TERN_SERVER_MEMORY_TRIMMER_H_
#define TERN_SERVER_MEMORY_TRIMMER_H_

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"

namespace tern {

// Resident memory of this process; 0 where /proc does not say.
int64_t ResidentBytes();

// Says when to trim, from one look to the next. One thread.
class TrimPolicy {
 public:
  // Whether memory that is `resident` now should be trimmed.
  bool Look(int64_t resident);
  // After a trim, which left so much.
  void Trimmed(int64_t resident);

 private:
  int64_t floor_ = 0;  // least since the last trim; 0: not known
  int64_t last_ = 0;
};

class MemoryTrimmer {
 public:
  // Starts the thread.
  explicit MemoryTrimmer(absl::Duration period);
  ~MemoryTrimmer();
  MemoryTrimmer(const MemoryTrimmer&) = delete;
  MemoryTrimmer& operator=(const MemoryTrimmer&) = delete;

 private:
  void Run();

  const absl::Duration period_;
  std::mutex mutex_;
  std::condition_variable stop_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace tern

#endif  // TERN_SERVER_MEMORY_TRIMMER_H_

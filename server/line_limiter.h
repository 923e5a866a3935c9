// So many lines of a log in a period, and no more.
//
// Thread-safe.

#ifndef TERN_SERVER_LINE_LIMITER_H_
#define TERN_SERVER_LINE_LIMITER_H_

#include <cstdint>
#include <mutex>
#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"

namespace tern {

class LineLimiter {
 public:
  LineLimiter(int lines, absl::Duration period)
      : lines_(lines), period_(period) {}

  // Whether a line may be written; if so, how many were not since the last one
  // that was.
  std::optional<int64_t> Admit(absl::Time now) {
    std::lock_guard lock(mutex_);
    if (now >= begun_ + period_) {
      begun_ = now;
      admitted_ = 0;
    }
    if (admitted_ == lines_) {
      ++dropped_;
      return std::nullopt;
    }
    ++admitted_;
    return std::exchange(dropped_, 0);
  }

 private:
  const int lines_;
  const absl::Duration period_;
  std::mutex mutex_;
  absl::Time begun_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  int admitted_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t dropped_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace tern

#endif  // TERN_SERVER_LINE_LIMITER_H_

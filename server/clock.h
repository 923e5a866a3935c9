// The time, so that tests can say what time it is.
//
// Times are absl::Time, but count from the machine's start: only differences
// mean anything, and setting the wall clock changes none.
//
// Thread-safe.

#ifndef TERN_SERVER_CLOCK_H_
#define TERN_SERVER_CLOCK_H_

#include <atomic>
#include <chrono>

#include "absl/time/time.h"

namespace tern {

class Clock {
 public:
  virtual ~Clock() = default;
  // Never goes back.
  virtual absl::Time Now() const = 0;
};

class MonotonicClock : public Clock {
 public:
  absl::Time Now() const override {
    return absl::UnixEpoch() +
           absl::FromChrono(
               std::chrono::steady_clock::now().time_since_epoch());
  }
};

// Stands still until a test moves it.
class VirtualClock : public Clock {
 public:
  absl::Time Now() const override {
    return absl::UnixEpoch() + absl::Nanoseconds(nanoseconds_.load());
  }
  void Advance(absl::Duration duration) {
    nanoseconds_ += absl::ToInt64Nanoseconds(duration);
  }

 private:
  std::atomic<int64_t> nanoseconds_{0};
};

}  // namespace tern

#endif  // TERN_SERVER_CLOCK_H_

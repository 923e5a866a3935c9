#include "client/load_generator.h"

#include <sys/prctl.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <random>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"

namespace tern {
namespace {

using Clock = std::chrono::steady_clock;

Clock::duration ToClock(absl::Duration duration) {
  return std::chrono::duration_cast<Clock::duration>(
      absl::ToChronoNanoseconds(duration));
}

struct Arrival {
  int64_t index = 0;
  Clock::time_point due;
};

// Hands out arrivals in order. Thread-safe.
class Arrivals {
 public:
  Arrivals(double rate, Clock::time_point start, Clock::time_point end)
      : rate_(rate), end_(end), next_due_(start) {}

  // None after the end.
  std::optional<Arrival> Take() {
    std::lock_guard lock(mutex_);
    const Clock::time_point due = rate_ > 0 ? next_due_ : Clock::now();
    if (due >= end_) return std::nullopt;
    if (rate_ > 0) {
      const std::chrono::duration<double> gap(
          std::exponential_distribution<>(rate_)(random_));
      next_due_ += std::chrono::duration_cast<Clock::duration>(gap);
    }
    return Arrival{next_index_++, due};
  }

 private:
  const double rate_;
  const Clock::time_point end_;
  std::mutex mutex_;
  Clock::time_point next_due_ ABSL_GUARDED_BY(mutex_);
  int64_t next_index_ ABSL_GUARDED_BY(mutex_) = 0;
  // The same arrivals in every run.
  std::mt19937_64 random_ ABSL_GUARDED_BY(mutex_){1};
};

// The results of all senders, and how many still send. Thread-safe.
class Results {
 public:
  explicit Results(int senders) : sending_(senders) {}

  void Add(const LatencyHistogram& latencies, int64_t answered, int64_t failed,
           const absl::Status& first_failure) {
    std::lock_guard lock(mutex_);
    result_.latencies.Add(latencies);
    result_.failed += failed;
    result_.first_failure.Update(first_failure);
    answered_ += answered;
    --sending_;
    ended_.notify_all();
  }

  // Waits a while for the last sender; whether it has ended.
  bool WaitForAll(Clock::duration while_) {
    std::unique_lock lock(mutex_);
    return ended_.wait_for(lock, while_, [&] { return sending_ == 0; });
  }

  LoadResult Take(double seconds) {
    std::lock_guard lock(mutex_);
    result_.calls_per_second = static_cast<double>(answered_) / seconds;
    return result_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable ended_;
  LoadResult result_ ABSL_GUARDED_BY(mutex_);
  int64_t answered_ ABSL_GUARDED_BY(mutex_) = 0;
  int sending_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

LoadResult RunLoad(const Load& load,
                   const std::function<absl::Status(int64_t index)>& call,
                   const std::function<void(double share)>& progress) {
  const Clock::time_point start = Clock::now();
  const Clock::time_point measured = start + ToClock(load.warm_up);
  const Clock::time_point end = measured + ToClock(load.duration);
  Arrivals arrivals(load.rate, start, end);
  Results results(load.senders);

  const auto send = [&] {
    // A due time is met to microseconds, not to the 50 that Linux allows
    // itself.
    prctl(PR_SET_TIMERSLACK, 1000UL);
    LatencyHistogram latencies;
    int64_t answered = 0, failed = 0;
    absl::Status first_failure;
    while (const std::optional<Arrival> arrival = arrivals.Take()) {
      std::this_thread::sleep_until(arrival->due);
      const absl::Status status = call(arrival->index);
      const Clock::time_point now = Clock::now();
      if (status.ok() && now >= measured && now < end) ++answered;
      if (arrival->due < measured) continue;
      if (status.ok()) {
        latencies.Record(absl::FromChrono(now - arrival->due));
      } else {
        ++failed;
        first_failure.Update(status);
      }
    }
    results.Add(latencies, answered, failed, first_failure);
  };
  std::vector<std::thread> senders;
  for (int i = 0; i < load.senders; ++i) senders.emplace_back(send);

  while (!results.WaitForAll(std::chrono::milliseconds(100))) {
    const std::chrono::duration<double> done = Clock::now() - start;
    const std::chrono::duration<double> all = end - start;
    progress(std::min(1.0, done / all));
  }
  for (std::thread& sender : senders) sender.join();
  return results.Take(absl::ToDoubleSeconds(load.duration));
}

}  // namespace tern

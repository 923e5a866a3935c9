#include "server/watchdog.h"

#include <cstddef>
#include <utility>

namespace tern {

Watchdog::Watchdog(const Options& options,
                   std::function<std::vector<int64_t>()> current_batches,
                   std::function<void(int)> changed)
    : options_(options),
      current_batches_(std::move(current_batches)),
      changed_(std::move(changed)) {
  thread_ = std::thread([this] { Run(); });
}

void Watchdog::Stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stop_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Watchdog::Run() {
  std::vector<int64_t> last;
  std::vector<int> looks;  // at which a worker had the batch that it has now
  int stuck_before = 0;
  std::unique_lock lock(mutex_);
  while (!stop_.wait_for(
      lock, absl::ToChronoNanoseconds(options_.period),
      [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return stopping_; })) {
    const std::vector<int64_t> now = current_batches_();
    last.resize(now.size());
    looks.resize(now.size());
    int stuck = 0;
    for (size_t w = 0; w < now.size(); ++w) {
      looks[w] = now[w] != 0 && now[w] == last[w] ? looks[w] + 1 : 1;
      if (now[w] != 0 && looks[w] >= options_.limit) ++stuck;
    }
    last = now;
    if (std::exchange(stuck_before, stuck) != stuck) changed_(stuck);
  }
}

}  // namespace tern

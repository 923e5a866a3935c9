#include "model/thread_team.h"

#include <algorithm>
#include <utility>

namespace tern {
namespace {

// Waits a moment without the operating system; past kSpins moments (tens of
// microseconds) lets other threads run, since whoever is awaited may need this
// core.
class Backoff {
 public:
  void Wait() {
    if (++spins_ < kSpins) {
      __builtin_ia32_pause();
    } else {
      std::this_thread::yield();
    }
  }

 private:
  static constexpr int kSpins = 2000;
  int spins_ = 0;
};

}  // namespace

ThreadTeam::ThreadTeam(int max_threads) {
  try {
    for (int thread = 1; thread < max_threads; ++thread) {
      helpers_.emplace_back([this, thread] { Help(thread); });
    }
  } catch (...) {  // the system gives no more threads
    Stop();
    throw;
  }
}

ThreadTeam::~ThreadTeam() { Stop(); }

void ThreadTeam::Stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    awake_ = 1;
  }
  called_.notify_all();
  for (std::thread& helper : helpers_) helper.join();
}

void ThreadTeam::Assemble(int threads) {
  threads_ = std::clamp(threads, 1, max_threads());
  if (awake_ == threads_) return;
  {
    std::lock_guard lock(mutex_);
    awake_ = threads_;
  }
  if (threads_ > 1) called_.notify_all();
}

void ThreadTeam::For(int tasks, Task task) {
  if (threads_ == 1 || tasks <= 1) {
    for (int index = 0; index < tasks; ++index) task(index, 0);
    return;
  }
  task_ = &task;
  done_.store(0, std::memory_order_relaxed);
  loop_.store(uint64_t{static_cast<uint32_t>(tasks)} << kTasksShift,
              std::memory_order_release);
  TakeTasks(/*thread=*/0);
  Backoff backoff;
  while (done_.load(std::memory_order_acquire) != tasks) backoff.Wait();
  if (failed_.exchange(false, std::memory_order_relaxed)) RethrowFailure();
}

void ThreadTeam::TakeTasks(int thread) {
  for (;;) {
    uint64_t loop = loop_.load(std::memory_order_relaxed);
    if (Taken(loop) >= Tasks(loop)) return;
    loop = loop_.fetch_add(1, std::memory_order_acq_rel);
    if (Taken(loop) >= Tasks(loop)) return;
    // The leader cannot leave this loop before the task just taken is done, so
    // task_ is the one that loop_ published.
    try {
      (*task_)(Taken(loop), thread);
    } catch (...) {
      KeepFailure(std::current_exception());
    }
    done_.fetch_add(1, std::memory_order_release);
  }
}

void ThreadTeam::KeepFailure(std::exception_ptr failure) {
  std::lock_guard lock(mutex_);
  failure_ = std::move(failure);
  failed_.store(true, std::memory_order_relaxed);
}

void ThreadTeam::RethrowFailure() {
  std::exception_ptr failure;
  {
    std::lock_guard lock(mutex_);
    failure = std::exchange(failure_, nullptr);
  }
  std::rethrow_exception(failure);
}

void ThreadTeam::Help(int thread) {
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      called_.wait(lock, [&] { return stopping_ || thread < awake_; });
      if (stopping_) return;
    }
    Backoff backoff;
    while (thread < awake_.load(std::memory_order_relaxed)) {
      const uint64_t loop = loop_.load(std::memory_order_relaxed);
      if (Taken(loop) < Tasks(loop)) {
        TakeTasks(thread);
        backoff = Backoff();
      } else {
        backoff.Wait();
      }
    }
  }
}

}  // namespace tern

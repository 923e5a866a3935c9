// The threads that share one Forward pass.
//
// A team belongs to one worker. The worker's own thread leads; helpers sleep
// until it assembles them for a pass, then take tasks from its loops until it
// dismisses them. A helper that the operating system has not woken yet is not
// waited for: its tasks go to those that are awake. How tasks fall to threads
// never changes a result, since each task writes its own part.
//
// One thread: only the leader calls.

#ifndef TERN_MODEL_THREAD_TEAM_H_
#define TERN_MODEL_THREAD_TEAM_H_

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"

namespace tern {

class ThreadTeam {
 public:
  using Task = absl::FunctionRef<void(int index, int thread)>;

  // `max_threads` >= 1 counts the leader. Throws std::system_error where the
  // system gives no more threads.
  explicit ThreadTeam(int max_threads);
  ~ThreadTeam();
  ThreadTeam(const ThreadTeam&) = delete;
  ThreadTeam& operator=(const ThreadTeam&) = delete;

  // Wakes helpers so that `threads` in all, the leader included, share the
  // loops that follow; at most max_threads(). Dismiss() sends them to sleep
  // again.
  void Assemble(int threads);
  void Dismiss() { Assemble(1); }

  int max_threads() const { return static_cast<int>(helpers_.size()) + 1; }
  int threads() const { return threads_; }

  // Runs task(index, thread) once for each index in [0, tasks), and returns
  // when all are done. `thread` is in [0, max_threads()) and differs between
  // tasks that run at the same time. Throws what a task threw, on whichever
  // thread, when all have ended.
  void For(int tasks, Task task);

 private:
  // The current loop in one word, so that claiming a task is one atomic step:
  // how many tasks it has (upper half) and how many are taken (lower half).
  static constexpr int kTasksShift = 32;
  static int Tasks(uint64_t loop) {
    return static_cast<int>(loop >> kTasksShift);
  }
  static int Taken(uint64_t loop) {
    return static_cast<int>(loop & 0xffffffff);
  }

  void Stop();
  void Help(int thread);
  void TakeTasks(int thread);
  void KeepFailure(std::exception_ptr failure);
  [[noreturn]] void RethrowFailure();

  int threads_ = 1;
  const Task* task_ = nullptr;  // published by `loop_`
  std::atomic<uint64_t> loop_{0};
  std::atomic<int> done_{0};
  std::atomic<bool> failed_{false};  // whether a task of this loop threw

  std::atomic<int> awake_{1};  // threads below this number take tasks
  // std::mutex rather than absl::Mutex: ThreadSanitizer sees it, while Debian's
  // Abseil is not instrumented.
  std::mutex mutex_;
  std::condition_variable called_;  // awake_ or stopping_ changed
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::exception_ptr failure_ ABSL_GUARDED_BY(mutex_);  // the last that threw
  std::vector<std::thread> helpers_;
};

}  // namespace tern

#endif  // TERN_MODEL_THREAD_TEAM_H_

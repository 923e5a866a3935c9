// The threads that share one Forward pass.
//
// A team belongs to one worker. The worker's own thread leads; up to
// `max_threads - 1` helpers sleep until a pass begins, then take tasks from the
// leader's loops until it ends. How tasks fall to threads never changes a
// result: each task writes its own part.
//
// One thread: only the leader calls.

#ifndef TERN_MODEL_THREAD_TEAM_H_
#define TERN_MODEL_THREAD_TEAM_H_

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/synchronization/mutex.h"

namespace tern {

class ThreadTeam {
 public:
  // `max_threads` >= 1 counts the leader.
  explicit ThreadTeam(int max_threads);
  ~ThreadTeam();
  ThreadTeam(const ThreadTeam&) = delete;

  int max_threads() const { return static_cast<int>(helpers_.size()) + 1; }

  // Wakes `threads - 1` helpers for the loops that follow; Dismiss() sends them
  // to sleep again. Without Assemble, loops run on the leader alone.
  void Assemble(int threads);
  void Dismiss();
  int threads() const { return assembled_ + 1; }

  // Runs task(index, thread) for index in [0, tasks), each once, and returns
  // when all are done. `thread` is in [0, threads()), for scratch memory.
  void For(int tasks, absl::FunctionRef<void(int index, int thread)> task);

 private:
  void Help(int thread);

  std::vector<std::thread> helpers_;
  int assembled_ = 0;  // helpers awake

  // Sleep between passes.
  absl::Mutex mutex_;
  int wanted_ ABSL_GUARDED_BY(mutex_) = 0;  // helpers that should be awake
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;

  // The current loop. `generation_` is bumped when the rest is set.
  using Task = absl::FunctionRef<void(int, int)>;
  const Task* task_ = nullptr;
  int tasks_ = 0;
  std::atomic<uint32_t> generation_{0};
  std::atomic<int> next_{0};
  std::atomic<int> busy_{0};  // helpers that have not left the current loop
  std::atomic<bool> dismissed_{true};
};

}  // namespace tern

#endif  // TERN_MODEL_THREAD_TEAM_H_

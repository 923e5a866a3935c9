// One client call on its way through the server, as plain data.
//
// A handler fills it with sequences and queues it; workers fill in the logits,
// possibly in several batches on several threads, each its own sequences;
// `done` hands it back to the handler, which turns logits into the reply.

#ifndef TERN_SERVER_REQUEST_H_
#define TERN_SERVER_REQUEST_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/model_registry.h"
#include "tokenizer/tokenizer.h"

namespace tern {

// Whether anyone still awaits the answer.
enum class Awaited { kYes, kCancelled, kExpired };

struct Request {
  std::shared_ptr<const ServedModel> model;
  std::vector<Encoding> sequences;  // at least one
  absl::Time deadline = absl::InfiniteFuture();
  // Who asks, where the server tells its clients apart.
  std::string tenant;
  // The client's message as it came, and in memory, where it lives as long as
  // the request: many small fields take some twenty times their bytes there.
  int64_t message_bytes = 0;
  int64_t memory_bytes = 0;
  // Called exactly once if Scheduler::Push took the request, on whichever
  // thread ended it and with no lock held. The logits are complete if the
  // status is OK, and must not be touched otherwise.
  std::function<void(const absl::Status&)> done;

  // logits[s] of sequence s, as Engine::Forward gives them; the worker's.
  std::vector<std::vector<float>> logits;

  // When it was queued, first taken by a worker, and ended; the scheduler's.
  absl::Time queued_at, started_at, ended_at;

  // The scheduler's, under its mutex.
  struct Progress {
    Awaited awaited = Awaited::kYes;
    bool queued = false;  // Push took it
    int taken = 0;        // sequences handed to workers
    int computed = 0;     // sequences with logits
    bool ended = false;
    int64_t untaken_tokens = 0;   // in the sequences not handed to workers
    int64_t computed_tokens = 0;  // in the sequences with logits
    // All of it, by the pace at which it came.
    absl::Duration computing_time = absl::ZeroDuration();
    // Its place among its tenant's requests, and the time at which a worker
    // must have begun it; fair_queue.h.
    absl::Time due;
    absl::Time begin_by;
    int64_t ticket = 0;
  } progress;

  int tokens(int sequence) const {
    return static_cast<int>(sequences[sequence].ids.size());
  }
  bool fully_taken() const {
    return progress.taken == static_cast<int>(sequences.size());
  }
};

// The sequences that a worker computes together, all of one model.
struct Work {
  struct Item {
    std::shared_ptr<Request> request;
    int sequence = 0;
  };
  std::vector<Item> items;
  int tokens = 0;
  absl::Time taken_at;

  bool empty() const { return items.empty(); }
  const ServedModel& model() const { return *items.front().request->model; }
};

}  // namespace tern

#endif  // TERN_SERVER_REQUEST_H_

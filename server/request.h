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
  } progress;
};

}  // namespace tern

#endif  // TERN_SERVER_REQUEST_H_

// Runs batches of texts through an engine as a worker of the server does:
// encodes them, then one Forward pass.
//
// One thread, which leads the runner's team.

#ifndef TERN_BENCH_BATCH_RUNNER_H_
#define TERN_BENCH_BATCH_RUNNER_H_

#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "bench/workload.h"
#include "model/batch.h"
#include "model/engine.h"
#include "model/thread_team.h"
#include "model/workspace.h"
#include "tokenizer/tokenizer.h"

namespace tern {

class BatchRunner {
 public:
  // The pointers outlive the runner.
  BatchRunner(const Engine* engine, const Tokenizer* tokenizer, int max_tokens,
              int max_batch_tokens, int threads);

  // The logits live until the next call.
  absl::StatusOr<absl::Span<const float>> Run(
      absl::Span<const WorkloadText> texts);

  double encode_seconds() const { return encode_seconds_; }  // of all calls

 private:
  absl::Status EncodeAll(absl::Span<const WorkloadText> texts);

  const Engine* const engine_;
  const Tokenizer* const tokenizer_;
  const int max_tokens_;
  ThreadTeam team_;
  Workspace workspace_;
  Batch batch_;
  double encode_seconds_ = 0;
};

// Checks that every logit of the first batch has the bits that its text gets
// alone on one thread.
// Errors: INTERNAL naming the first text that differs.
absl::Status CheckAnswers(const Engine& engine, const Tokenizer& tokenizer,
                          const Workload& workload, BatchRunner& runner);

// Of a clock that no one sets.
double MonotonicSeconds();

}  // namespace tern

#endif  // TERN_BENCH_BATCH_RUNNER_H_

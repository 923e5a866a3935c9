// The state of a training run, in one safetensors file.
//
// With the run's options it determines everything that follows: batches and
// dropout are drawn from the seed and the step alone.
//
// Thread-safe: pure functions.

#ifndef TERN_TRAIN_CHECKPOINT_H_
#define TERN_TRAIN_CHECKPOINT_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "train/adamw.h"
#include "train/bert_module.h"

namespace tern {

struct RunProgress {
  int64_t step = 0;             // optimizer steps done
  int64_t evaluated_step = -1;  // the last one after which dev was evaluated
  double best_score = -2;       // on the dev set; below any score
  int64_t best_step = 0;
};

// Atomic: a crash leaves the old checkpoint or the new one. `options` says in
// words what the run was started with. `averages` are the weights' moving
// averages, if the run keeps any.
absl::Status SaveCheckpoint(const std::string& path,
                            const RunProgress& progress,
                            const std::string& options,
                            const TensorMap& parameters,
                            const AdamWState& optimizer,
                            const TensorMap& averages = {});

// Reads it back in place; the tensors have their shapes already.
// Errors: NOT_FOUND; FAILED_PRECONDITION where it is of a run with other
// options, naming both; INVALID_ARGUMENT or DATA_LOSS for a damaged file.
absl::Status LoadCheckpoint(const std::string& path, const std::string& options,
                            RunProgress& progress, const TensorMap& parameters,
                            AdamWState& optimizer,
                            const TensorMap& averages = {});

// Reads the weights alone, for a run that begins where another one ended.
// Errors: NOT_FOUND; INVALID_ARGUMENT or DATA_LOSS for a file that is damaged,
// is no checkpoint, or is one of a model of another shape.
absl::Status LoadCheckpointWeights(const std::string& path,
                                   const TensorMap& parameters);

}  // namespace tern

#endif  // TERN_TRAIN_CHECKPOINT_H_

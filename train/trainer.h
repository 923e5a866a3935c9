// The training loop, the same for teachers and students.
//
// A crash loses at most one checkpoint interval; SIGTERM and SIGINT lose no
// step, only an evaluation that they interrupt. A resumed run takes the same
// steps as one that was never stopped: on one thread bit for bit.
//
// One thread.

#ifndef TERN_TRAIN_TRAINER_H_
#define TERN_TRAIN_TRAINER_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "train/adamw.h"
#include "train/bert_module.h"
#include "train/dataset.h"
#include "train/evaluation.h"
#include "train/losses.h"
#include "train/metrics.h"
#include "train/run_folder.h"

namespace tern {

struct TrainerOptions {
  int epochs = 3;       // 0: evaluate and save what is there
  int batch_size = 32;  // sequences of one pass
  // Passes of one optimizer step, whose gradients are weighed by their
  // sequences. Terms that are means over tokens are so within each pass.
  int accumulate = 1;
  double learning_rate = 5e-5;
  double warmup = 0.1;  // share of all steps
  AdamWOptions adamw;
  uint64_t seed = 1;
  int evaluations_per_epoch = 1;
  absl::Duration checkpoint_interval = absl::Minutes(5);
  bool resume = false;
  // Stop after this many steps as a signal would; 0 never. For tests.
  int64_t stop_after = 0;
  bool plot = false;  // draw the learning curves after each evaluation
  // Of the weights' moving average, which is then what is evaluated and kept as
  // the best model; 0: the weights themselves are.
  double average_decay = 0;
};

struct TrainingJob {
  std::string title;        // of the progress bar
  std::string description;  // all that determines the result, for checkpoints
  BertModule* module = nullptr;
  // The loss of one batch; at::manual_seed was called before.
  std::function<Loss(const TokenBatch&)> loss;
  const TokenizedDataset* train = nullptr;
  const TokenizedDataset* dev = nullptr;
  // How good the module's logits on `dev` are.
  std::function<absl::StatusOr<Scores>(const Logits&)> score;
  // Writes the model, which is the best so far.
  std::function<absl::Status()> save_best;
  RunFolder folder;
  bool save_start = false;  // a checkpoint before the first step pays
};

struct TrainingResult {
  double best_score = 0;
  int64_t best_step = 0;
  int64_t steps = 0;
};

// Errors: CANCELLED after SIGTERM or SIGINT, with a checkpoint written;
// INVALID_ARGUMENT for a loss or gradients that are not finite, naming their
// examples; what reading a checkpoint and writing files gives.
absl::StatusOr<TrainingResult> Train(const TrainingJob& job,
                                     const TrainerOptions& options);

}  // namespace tern

#endif  // TERN_TRAIN_TRAINER_H_

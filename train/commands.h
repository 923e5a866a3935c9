// What tern-train does: one function for each subcommand.
//
// One thread.

#ifndef TERN_TRAIN_COMMANDS_H_
#define TERN_TRAIN_COMMANDS_H_

#include "absl/status/status.h"
#include "train/options.h"

namespace tern {

// Each prints its result, one JSON object, on stdout.
// Errors: naming the file and what is wrong with it; CANCELLED where a signal
// stopped the training, with a checkpoint written.
absl::Status Finetune(const CommandOptions& options);
absl::Status TernarizeByDistillation(const CommandOptions& options);
absl::Status Evaluate(const CommandOptions& options);
absl::Status ScoreAnswers(const CommandOptions& options);

}  // namespace tern

#endif  // TERN_TRAIN_COMMANDS_H_

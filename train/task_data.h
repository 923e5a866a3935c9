// What a command trains on and is judged by: a task's files as a model reads
// them.
//
// One thread.

#ifndef TERN_TRAIN_TASK_DATA_H_
#define TERN_TRAIN_TASK_DATA_H_

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/config.h"
#include "train/dataset.h"
#include "train/evaluation.h"
#include "train/metrics.h"
#include "train/options.h"
#include "train/squad.h"
#include "train/task.h"

namespace tern {

// One file.
struct TaskData {
  TokenizedDataset tokens;
  // What answers are made and judged by; none of a classifier's task.
  std::optional<QuestionWindows> questions;
};

// What both kinds of training work on.
struct TrainingData {
  BertConfig config;
  TokenizedDataset train;  // with --augment's copies
  TaskData dev;
};

// Puts the task's labels in the order of the model that teaches or is
// evaluated, where its config.json names them; those of task tsv are that
// model's or, where nobody named them, the training file's, sorted.
// Errors: of the model's config.json and of the file.
absl::Status ResolveLabels(CommandOptions& options);

// Where a model's folder has its tensors.
std::string WeightsFile(const std::string& folder);

// Errors: INVALID_ARGUMENT where two models do not read the same token ids, or
// where a model's head is not one for this task, with its labels in their
// order.
absl::Status CheckSameVocabulary(const std::string& folder,
                                 const std::string& other);
absl::Status CheckHead(const BertConfig& config, const std::string& folder,
                       const TaskSpec& task);

// What the copies of --augment depend on, in words.
std::string DescribeAugmentation(const CommandOptions& options);

// The files of the command line, as the model in `folder` reads them.
// Errors: naming the file and the line.
absl::StatusOr<TaskData> ReadDevData(const CommandOptions& options,
                                     const std::string& folder,
                                     const BertConfig& config);
absl::StatusOr<TrainingData> ReadTrainingData(const CommandOptions& options,
                                              const std::string& folder);

// How good a model with these logits is at it.
absl::StatusOr<Scores> ScoreLogits(const Logits& logits, const TaskData& data,
                                   const CommandOptions& options);

}  // namespace tern

#endif  // TERN_TRAIN_TASK_DATA_H_

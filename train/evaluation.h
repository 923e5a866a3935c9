// Scores of a model on a labelled dataset.
//
// One thread.

#ifndef TERN_TRAIN_EVALUATION_H_
#define TERN_TRAIN_EVALUATION_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "model/engine.h"
#include "train/bert_module.h"
#include "train/dataset.h"
#include "train/task.h"

namespace tern {

// Logits of each sequence, in the order of the dataset: [sequences, outputs].
struct Logits {
  int outputs = 0;
  std::vector<float> values;
};

// By the trainer's own forward pass, and by the serving engine.
Logits LogitsOf(const BertModule& module, const TokenizedDataset& dataset,
                int batch_size);
absl::StatusOr<Logits> LogitsOf(const Engine& engine,
                                const TokenizedDataset& dataset, int batch_size,
                                int threads);

struct Scores {
  std::map<std::string, double> metrics;  // by name
  double mean = 0;                        // of them
};

// `dataset` in the same order as the logits.
Scores Score(const Logits& logits, const TokenizedDataset& dataset,
             const TaskSpec& task);

}  // namespace tern

#endif  // TERN_TRAIN_EVALUATION_H_

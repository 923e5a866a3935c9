// What a model says to a dataset, and how good that is.
//
// One thread.

#ifndef TERN_TRAIN_EVALUATION_H_
#define TERN_TRAIN_EVALUATION_H_

#include <cstdint>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "model/engine.h"
#include "train/bert_module.h"
#include "train/dataset.h"
#include "train/metrics.h"
#include "train/squad.h"
#include "train/squad_metric.h"
#include "train/task.h"

namespace tern {

// Logits of each sequence, in the order of the dataset: [outputs] of a
// classifier, [tokens, 2] of a question answerer.
struct Logits {
  int outputs = 0;
  std::vector<float> values;
  std::vector<int64_t> starts{0};  // sequence s has values [starts[s],
                                   // starts[s + 1])

  absl::Span<const float> Of(int s) const {
    return absl::MakeConstSpan(values).subspan(starts[s],
                                               starts[s + 1] - starts[s]);
  }
};

// Is told how many of the dataset's sequences are done; false: stop here.
using EvaluationProgress = absl::FunctionRef<bool(int64_t done)>;

// By the trainer's own forward pass, and by the serving engine.
// Errors: CANCELLED where `progress` stopped it; the engine's.
absl::StatusOr<Logits> LogitsOf(
    const BertModule& module, const TokenizedDataset& dataset, int batch_size,
    EvaluationProgress progress = [](int64_t) { return true; });
absl::StatusOr<Logits> LogitsOf(
    const Engine& engine, const TokenizedDataset& dataset, int batch_size,
    int threads, EvaluationProgress progress = [](int64_t) { return true; });

// `dataset` in the same order as the logits.
Scores Score(const Logits& logits, const TokenizedDataset& dataset,
             const TaskSpec& task);

struct AnswerOptions {
  int max_answer_tokens = 30;
  // Where questions may be impossible, "no answer" wins if its logit is above
  // that of the best answer by more than this.
  double no_answer_threshold = 0;
};

// The server's best answer to each question; `logits` are those of its windows
// in their order.
Predictions PredictAnswers(const Logits& logits, const QuestionWindows& windows,
                           const AnswerOptions& options);

}  // namespace tern

#endif  // TERN_TRAIN_EVALUATION_H_

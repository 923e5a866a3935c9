// What training minimizes.
//
// Thread-safe: pure functions.

#ifndef TERN_TRAIN_LOSSES_H_
#define TERN_TRAIN_LOSSES_H_

#include <string>
#include <utility>
#include <vector>

#include "torch/types.h"
#include "train/bert_module.h"
#include "train/token_batch.h"

namespace tern {

struct Loss {
  torch::Tensor total;  // scalar
  // Its summands, by name, for the log.
  std::vector<std::pair<std::string, double>> terms;
};

// Cross-entropy with the labels, or mean squared error for regression. Question
// answering: of the start and of the end among the tokens of a sequence, their
// mean (Devlin et al. 2018, section 4.2).
Loss LabelLoss(const BertOutput& output, const TokenBatch& batch, Task task);

// The terms of TernaryBERT's distillation (Zhang et al. 2020, section 3.2; as
// TinyBERT's), summed without weights:
//   predictions  soft cross-entropy -sum softmax(t) log softmax(s), mean over
//                sequences; for regression (t - s)^2; for question answering
//                the mean of those of start and end, over a sequence's tokens
//   hidden       mean (t - s)^2 over tokens and units, summed over the
//                embeddings and all layers
//   attention    mean (t - s)^2 of the scores before softmax, over heads and
//                pairs of tokens that are there, summed over layers
struct DistillationTerms {
  bool predictions = true;
  bool hidden = true;
  bool attention = true;

  bool any() const { return predictions || hidden || attention; }
};

// The predictions' term alone; student and teacher may differ in size.
Loss PredictionLoss(const BertOutput& student, const BertOutput& teacher,
                    const TokenBatch& batch, Task task);

Loss DistillationLoss(const BertOutput& student, const BertOutput& teacher,
                      const TokenBatch& batch, const DistillationTerms& terms,
                      Task task);

}  // namespace tern

#endif  // TERN_TRAIN_LOSSES_H_

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

// Cross-entropy with the labels, or mean squared error for regression.
Loss LabelLoss(const BertOutput& output, const TokenBatch& batch,
               bool regression);

// The terms of TernaryBERT's distillation (Zhang et al. 2020, section 3.2; as
// TinyBERT's), summed without weights:
//   predictions  soft cross-entropy -sum softmax(t) log softmax(s), mean over
//                sequences; for regression (t - s)^2
//   hidden       mean (t - s)^2 over tokens and units, summed over the
//                embeddings and all layers
//   attention    mean (t - s)^2 of the scores before softmax, over heads and
//                pairs of tokens that are there, summed over layers
struct DistillationTerms {
  bool predictions = true;
  bool hidden = true;
  bool attention = true;
};

Loss DistillationLoss(const BertOutput& student, const BertOutput& teacher,
                      const TokenBatch& batch, const DistillationTerms& terms,
                      bool regression);

}  // namespace tern

#endif  // TERN_TRAIN_LOSSES_H_

// How good a model is: GLUE's metrics, in [-1, 1].
//
// Thread-safe: pure functions.

#ifndef TERN_TRAIN_METRICS_H_
#define TERN_TRAIN_METRICS_H_

#include <map>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace tern {

struct Scores {
  std::map<std::string, double> metrics;  // by name
  double mean = 0;                        // of them
};

enum class Metric { kAccuracy, kF1, kMatthews, kPearson, kSpearman };

absl::string_view MetricName(Metric metric);  // "accuracy", ...

// Predicted and true labels (indices as floats) or scores, of equal length.
// What is undefined, as the correlation with a constant, is 0.
//   accuracy   share of equal ones
//   f1         2 tp / (2 tp + fp + fn) of label 1
//   matthews   (tp tn - fp fn) / sqrt((tp+fp) (tp+fn) (tn+fp) (tn+fn))
//   pearson    cov(p, t) / sqrt(var(p) var(t))
//   spearman   pearson of the ranks, ties sharing their mean rank
double ComputeMetric(Metric metric, absl::Span<const float> predicted,
                     absl::Span<const float> truth);

}  // namespace tern

#endif  // TERN_TRAIN_METRICS_H_

#include "server/classify.h"

#include <algorithm>
#include <cmath>

namespace tern {
namespace {

std::vector<double> Softmax(absl::Span<const float> logits) {
  const double max = *std::max_element(logits.begin(), logits.end());
  std::vector<double> p(logits.size());
  double sum = 0;
  for (size_t i = 0; i < p.size(); ++i) sum += p[i] = std::exp(logits[i] - max);
  for (double& value : p) value /= sum;
  return p;
}

std::vector<double> Scores(Task task, absl::Span<const float> logits) {
  if (task == Task::kSingleLabel) return Softmax(logits);
  std::vector<double> scores(logits.begin(), logits.end());
  if (task == Task::kMultiLabel) {
    for (double& value : scores) value = 1 / (1 + std::exp(-value));
  }
  return scores;
}

}  // namespace

std::vector<LabelScore> RankLabels(Task task, absl::Span<const float> logits,
                                   int top_k) {
  const std::vector<double> scores = Scores(task, logits);
  std::vector<LabelScore> labels(scores.size());
  for (size_t i = 0; i < scores.size(); ++i) {
    labels[i] = {static_cast<int>(i), static_cast<float>(scores[i])};
  }
  // By logit: scores may saturate to equal floats.
  std::stable_sort(labels.begin(), labels.end(),
                   [logits](const LabelScore& a, const LabelScore& b) {
                     return logits[a.index] > logits[b.index];
                   });
  if (top_k > 0 && static_cast<size_t>(top_k) < labels.size()) {
    labels.resize(top_k);
  }
  return labels;
}

}  // namespace tern

// A classifier's logits to labels with scores.

#ifndef TERN_SERVER_CLASSIFY_H_
#define TERN_SERVER_CLASSIFY_H_

#include <vector>

#include "absl/types/span.h"
#include "model/config.h"

namespace tern {

struct LabelScore {
  int index = 0;  // in the order of the logits
  float score = 0;
};

// The `top_k` best labels (0: all), best first, equal ones by index:
//   single label  score[i] = exp(z[i] - max z) / sum_j exp(z[j] - max z)
//   multi label   score[i] = 1 / (1 + exp(-z[i]))
//   regression    score[i] = z[i]
// z = logits; sums in double.
std::vector<LabelScore> RankLabels(Task task, absl::Span<const float> logits,
                                   int top_k);

}  // namespace tern

#endif  // TERN_SERVER_CLASSIFY_H_

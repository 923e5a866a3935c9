// SQuAD's metrics, equal to the official evaluators' of version 1.1 and 2.0.
//
// Thread-safe: pure functions.

#ifndef TERN_TRAIN_SQUAD_METRIC_H_
#define TERN_TRAIN_SQUAD_METRIC_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "train/metrics.h"
#include "train/squad.h"

namespace tern {

// Lower case, without ASCII punctuation, without the words a, an and the, words
// separated by single spaces. What is a word, a space and lower case is as in
// Python. `text` is valid UTF-8.
std::string NormalizeAnswer(absl::string_view text);

// Best over the gold answers, of normalized words:
//   exact_match  1 where they are equal, else 0
//   f1           2 p r / (p + r), p and r the shares of the predicted and of
//                the gold words that the other has, each as often as it stands
// Where a side has no words: version 1.1 gives f1 = 0; 2.0 gives 1 if both have
// none, and leaves out gold answers without words. A question without answers
// has the one gold answer "".
struct AnswerScore {
  double exact_match = 0;
  double f1 = 0;
};
AnswerScore ScoreAnswer(absl::string_view predicted,
                        const std::vector<std::string>& gold,
                        bool may_be_impossible);

// Predicted answers by question id.
using Predictions = std::map<std::string, std::string>;

// Their means over all questions, in [0, 1].
// Errors: INVALID_ARGUMENT naming a question without prediction.
absl::StatusOr<Scores> ScorePredictions(const Predictions& predictions,
                                        const QuestionSet& set);

// As JSON, the form that the official evaluators read.
// Errors: what reading and writing files gives; INVALID_ARGUMENT for anything
// but an object of strings.
absl::StatusOr<Predictions> ReadPredictions(const std::string& path);
absl::Status WritePredictions(const Predictions& predictions,
                              const std::string& path);

}  // namespace tern

#endif  // TERN_TRAIN_SQUAD_METRIC_H_

// A question answerer's start and end logits to spans of the context.
//
// A long context was read in overlapping windows; their spans are ranked
// together, by start plus end logit as in BERT (Devlin et al. 2018, 4.2). Here,
// beside the windows' maker, since the server and the trainer's evaluation must
// give the same answers.
//
// Thread-safe: pure functions.

#ifndef TERN_TOKENIZER_ANSWER_H_
#define TERN_TOKENIZER_ANSWER_H_

#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "tokenizer/tokenizer.h"

namespace tern {

// One window with its logits [tokens, 2]: start and end logit of each token.
struct AnswerWindow {
  const Encoding* encoding = nullptr;
  absl::Span<const float> logits;
};

struct ScoredSpan {
  TextSpan bytes;  // of the context
  float logit = 0;
  float score = 0;
};

struct RankedAnswers {
  std::vector<ScoredSpan> best;  // best first, equal ones by position
  float no_answer_logit = 0;
  float no_answer_score = 0;
};

// A span is tokens i <= j of the context in one window, at most
// `max_answer_tokens` of them, with logit start[i] + end[j]; the same bytes in
// two windows count once, with their best logit. "No answer" has the least
// start[CLS] + end[CLS] over the windows. Scores are the softmax over "no
// answer" and the best max(20, n_best) spans; `n_best` of these are returned.
RankedAnswers RankAnswers(absl::Span<const AnswerWindow> windows, int n_best,
                          int max_answer_tokens);

// Counts the code points of valid UTF-8.
int CountCodePoints(absl::string_view text);

}  // namespace tern

#endif  // TERN_TOKENIZER_ANSWER_H_

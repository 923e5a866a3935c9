#include "tokenizer/answer.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>

namespace tern {
namespace {

// Scores are shared among at least this many spans, as in Hugging Face's
// evaluation of SQuAD (n_best_size).
constexpr int kScoredSpans = 20;

bool Better(const ScoredSpan& a, const ScoredSpan& b) {
  return std::make_tuple(-a.logit, a.bytes.begin, a.bytes.end) <
         std::make_tuple(-b.logit, b.bytes.begin, b.bytes.end);
}

// The best `capacity` spans seen so far, each range of bytes once.
class BestSpans {
 public:
  explicit BestSpans(size_t capacity) : capacity_(capacity) {}

  void Offer(const ScoredSpan& span) {
    if (spans_.size() == capacity_ && !Better(span, spans_.back())) return;
    const auto same = std::find_if(
        spans_.begin(), spans_.end(),
        [&](const ScoredSpan& s) { return s.bytes == span.bytes; });
    if (same != spans_.end()) {
      if (!Better(span, *same)) return;
      spans_.erase(same);
    } else if (spans_.size() == capacity_) {
      spans_.pop_back();
    }
    spans_.insert(std::upper_bound(spans_.begin(), spans_.end(), span, Better),
                  span);
  }

  std::vector<ScoredSpan>& spans() { return spans_; }

 private:
  const size_t capacity_;
  std::vector<ScoredSpan> spans_;  // best first
};

void OfferWindow(const AnswerWindow& window, int max_answer_tokens,
                 BestSpans& best) {
  const Encoding& encoding = *window.encoding;
  const int last = static_cast<int>(encoding.ids.size()) - 1;  // [SEP]
  for (int i = encoding.pair_begin; i < last; ++i) {
    const float start = window.logits[2 * i];
    for (int j = i; j < std::min(last, i + max_answer_tokens); ++j) {
      const float end = window.logits[2 * j + 1];
      best.Offer(
          {{encoding.offsets[i].begin, encoding.offsets[j].end}, start + end});
    }
  }
}

// Softmax over the spans and "no answer".
void Score(RankedAnswers& answers) {
  double max = answers.no_answer_logit;
  for (const ScoredSpan& span : answers.best) {
    max = std::max<double>(max, span.logit);
  }
  double sum = std::exp(answers.no_answer_logit - max);
  for (const ScoredSpan& span : answers.best) sum += std::exp(span.logit - max);
  for (ScoredSpan& span : answers.best) {
    span.score = static_cast<float>(std::exp(span.logit - max) / sum);
  }
  answers.no_answer_score =
      static_cast<float>(std::exp(answers.no_answer_logit - max) / sum);
}

}  // namespace

RankedAnswers RankAnswers(absl::Span<const AnswerWindow> windows, int n_best,
                          int max_answer_tokens) {
  BestSpans best(std::max(kScoredSpans, n_best));
  RankedAnswers answers;
  answers.no_answer_logit = std::numeric_limits<float>::infinity();
  for (const AnswerWindow& window : windows) {
    OfferWindow(window, max_answer_tokens, best);
    answers.no_answer_logit =
        std::min(answers.no_answer_logit, window.logits[0] + window.logits[1]);
  }
  answers.best = std::move(best.spans());
  Score(answers);
  if (answers.best.size() > static_cast<size_t>(n_best)) {
    answers.best.resize(n_best);
  }
  return answers;
}

int CountCodePoints(absl::string_view text) {
  // All bytes but the 10xxxxxx, which continue a code point.
  return static_cast<int>(
      std::count_if(text.begin(), text.end(), [](char byte) {
        return (static_cast<unsigned char>(byte) & 0xC0) != 0x80;
      }));
}

}  // namespace tern

#include "tokenizer/answer.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

namespace tern {
namespace {

// [CLS] q [SEP] context [SEP], context tokens of two bytes each from
// `first_byte` on, all logits zero.
struct Window {
  Encoding encoding;
  std::vector<float> logits;

  explicit Window(int context_tokens, int first_byte = 0) {
    const int tokens = context_tokens + 4;
    encoding.ids.resize(tokens);
    encoding.type_ids.resize(tokens);
    encoding.offsets.resize(tokens);
    encoding.offsets[1] = {0, 2};  // the question's
    encoding.pair_begin = 3;
    for (int t = 0; t < context_tokens; ++t) {
      encoding.offsets[3 + t] = {first_byte + 2 * t, first_byte + 2 * t + 2};
    }
    logits.resize(2 * tokens);
  }
  float& start(int token) { return logits[2 * token]; }
  float& end(int token) { return logits[2 * token + 1]; }
  AnswerWindow view() const { return {&encoding, logits}; }
};

TEST(AnswerTest, BestSpanHasTheBestStartPlusEnd) {
  Window window(5);
  window.start(4) = 3;
  window.end(6) = 2;

  const RankedAnswers ranked = RankAnswers({window.view()}, 1, 30);

  ASSERT_EQ(ranked.best.size(), 1u);
  EXPECT_EQ(ranked.best[0].bytes, (TextSpan{2, 8}));
  EXPECT_EQ(ranked.best[0].logit, 5);
}

TEST(AnswerTest, NoSpanEndsBeforeItStartsOrLeavesTheContext) {
  Window window(4);
  window.start(0) = window.end(0) = 50;  // [CLS]
  window.start(1) = window.end(1) = 50;  // question
  window.start(7) = window.end(7) = 50;  // [SEP]
  window.start(5) = 9;
  window.end(3) = 9;

  const RankedAnswers ranked = RankAnswers({window.view()}, 100, 30);

  EXPECT_EQ(ranked.best.size(), 10u);  // 4 + 3 + 2 + 1
  for (const ScoredSpan& span : ranked.best) {
    EXPECT_LT(span.bytes.begin, span.bytes.end);
    EXPECT_LE(span.bytes.end, 8);
    EXPECT_LE(span.logit, 9);
  }
}

TEST(AnswerTest, NoSpanIsLongerThanMaxAnswerTokens) {
  Window window(5);
  window.start(3) = 9;
  window.end(7) = 9;
  window.end(4) = 1;

  const RankedAnswers ranked = RankAnswers({window.view()}, 1, 2);

  EXPECT_EQ(ranked.best[0].bytes, (TextSpan{0, 4}));
}

TEST(AnswerTest, SameBytesInTwoWindowsCountOnceWithTheirBestLogit) {
  Window first(4, 0), second(4, 4);
  first.start(5) = first.end(5) = 1;    // bytes [4, 6)
  second.start(3) = second.end(3) = 2;  // bytes [4, 6)

  const RankedAnswers ranked =
      RankAnswers({first.view(), second.view()}, 100, 1);

  EXPECT_EQ(ranked.best.size(), 6u);
  EXPECT_EQ(ranked.best[0].bytes, (TextSpan{4, 6}));
  EXPECT_EQ(ranked.best[0].logit, 4);
}

TEST(AnswerTest, NoAnswerIsTheLeastOverTheWindows) {
  Window first(2), second(2);
  first.start(0) = 3;
  first.end(0) = 4;
  second.start(0) = 1;
  second.end(0) = 2;

  EXPECT_EQ(RankAnswers({first.view(), second.view()}, 1, 1).no_answer_logit,
            3);
}

TEST(AnswerTest, ScoresShareOneAmongSpansAndNoAnswer) {
  Window window(2);
  window.start(3) = std::log(2.0f);

  // Spans of one token: 2 and 1; no answer: 1.
  const RankedAnswers ranked = RankAnswers({window.view()}, 2, 1);

  EXPECT_FLOAT_EQ(ranked.best[0].score, 0.5f);
  EXPECT_FLOAT_EQ(ranked.best[1].score, 0.25f);
  EXPECT_FLOAT_EQ(ranked.no_answer_score, 0.25f);
}

TEST(AnswerTest, ScoresDoNotDependOnNBest) {
  Window window(8);
  window.start(5) = 2;

  const RankedAnswers one = RankAnswers({window.view()}, 1, 30);
  const RankedAnswers twenty = RankAnswers({window.view()}, 20, 30);

  EXPECT_EQ(one.best.size(), 1u);
  EXPECT_EQ(twenty.best.size(), 20u);
  EXPECT_EQ(one.best[0].score, twenty.best[0].score);
  EXPECT_EQ(one.no_answer_score, twenty.no_answer_score);
}

// All spans, ranked the plain way.
std::vector<ScoredSpan> RankPlainly(const std::vector<AnswerWindow>& windows,
                                    size_t n_best, int max_answer_tokens) {
  std::map<std::pair<int, int>, float> logits;
  for (const AnswerWindow& window : windows) {
    const auto& offsets = window.encoding->offsets;
    const int last = static_cast<int>(offsets.size()) - 1;
    for (int i = window.encoding->pair_begin; i < last; ++i) {
      for (int j = i; j < last && j < i + max_answer_tokens; ++j) {
        const float logit = window.logits[2 * i] + window.logits[2 * j + 1];
        const auto [entry, added] =
            logits.try_emplace({offsets[i].begin, offsets[j].end}, logit);
        if (!added) entry->second = std::max(entry->second, logit);
      }
    }
  }
  std::vector<ScoredSpan> spans;
  for (const auto& [bytes, logit] : logits) {
    spans.push_back({{bytes.first, bytes.second}, logit});
  }
  std::stable_sort(spans.begin(), spans.end(),
                   [](const ScoredSpan& a, const ScoredSpan& b) {
                     return a.logit > b.logit;
                   });
  spans.resize(std::min(spans.size(), n_best));
  return spans;
}

TEST(AnswerTest, EqualsAPlainRankingOfAllSpans) {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    std::vector<Window> windows;
    for (int w = 0; w < 3; ++w) {
      windows.emplace_back(5 + random() % 40, 2 * (random() % 20));
      // Few values, hence many ties.
      for (float& logit : windows.back().logits) logit = random() % 9;
    }
    std::vector<AnswerWindow> views;
    for (const Window& window : windows) views.push_back(window.view());
    const int n_best = 1 + random() % 30;
    const int max_answer_tokens = 1 + random() % 12;

    const auto best = RankAnswers(views, n_best, max_answer_tokens).best;
    const auto expected = RankPlainly(views, n_best, max_answer_tokens);

    ASSERT_EQ(best.size(), expected.size());
    for (size_t i = 0; i < best.size(); ++i) {
      EXPECT_EQ(best[i].bytes, expected[i].bytes);
      EXPECT_EQ(best[i].logit, expected[i].logit);
    }
  }
}

TEST(AnswerTest, CountsCodePoints) {
  EXPECT_EQ(CountCodePoints(""), 0);
  EXPECT_EQ(CountCodePoints("na\u00efve"), 5);
  EXPECT_EQ(CountCodePoints("\u4e2d\U0001F600"), 2);
}

}  // namespace
}  // namespace tern

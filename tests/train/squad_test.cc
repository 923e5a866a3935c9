#include "train/squad.h"

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/tiny_model.h"
#include "train/evaluation.h"
#include "train/squad_metric.h"

namespace tern {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string FolderOfThisTest() {
  const std::string folder =
      testing::TempDir() + "tern_squad_" +
      testing::UnitTest::GetInstance()->current_test_info()->name();
  std::filesystem::create_directories(folder);
  return folder;
}

std::string WriteJson(const std::string& name, const json& value) {
  const std::string path = FolderOfThisTest() + "/" + name;
  std::ofstream(path) << value.dump();
  return path;
}

json Answer(const std::string& text, int start) {
  return {{"text", text}, {"answer_start", start}};
}

json Asked(const std::string& id, const std::vector<json>& answers) {
  return {{"id", id}, {"question", "what"}, {"answers", answers}};
}

json SquadJson(const std::string& context, const std::vector<json>& questions) {
  return {{"version", "1.1"},
          {"data",
           {{{"title", "t"},
             {"paragraphs", {{{"context", context}, {"qas", questions}}}}}}}};
}

TEST(SquadTest, AnswersStandWhereCodePointsSay) {
  const auto set = ReadSquad(WriteJson(
      "a.json",
      SquadJson("\u4e2d\u00e9 red", {Asked("q", {Answer("red", 3)})})));
  ASSERT_TRUE(set.ok()) << set.status();
  ASSERT_EQ(set->questions.size(), 1u);
  EXPECT_EQ(set->questions[0].id, "q");
  EXPECT_EQ(set->questions[0].answer, (TextSpan{6, 9}));
  EXPECT_FALSE(set->may_be_impossible);
}

TEST(SquadTest, ReadsSeveralFilesAndImpossibleQuestions) {
  json impossible = Asked("none", {});
  impossible["is_impossible"] = true;
  const std::string first =
      WriteJson("1.json", SquadJson("a b", {Asked("q", {Answer("b", 2)})}));
  const std::string second = WriteJson("2.json", SquadJson("c", {impossible}));
  const auto set = ReadSquad(first + "," + second);
  ASSERT_TRUE(set.ok()) << set.status();
  ASSERT_EQ(set->questions.size(), 2u);
  EXPECT_TRUE(set->may_be_impossible);
  EXPECT_EQ(set->questions[1].context, 1);
  EXPECT_TRUE(set->questions[1].answers.empty());
  EXPECT_EQ(set->questions[1].answer, TextSpan{});
}

TEST(SquadTest, TrainsOnTheAnswerOfMostAnnotators) {
  const auto set = ReadSquad(WriteJson(
      "a.json",
      SquadJson("one two",
                {Asked("q", {Answer("one two", 0), Answer("two", 4),
                             Answer("two", 4)}),
                 Asked("tie", {Answer("one", 0), Answer("two", 4)})})));
  ASSERT_TRUE(set.ok()) << set.status();
  EXPECT_EQ(set->questions[0].answer, (TextSpan{4, 7}));
  EXPECT_EQ(set->questions[1].answer, (TextSpan{0, 3}));
  EXPECT_THAT(set->questions[0].answers, ElementsAre("one two", "two", "two"));
}

TEST(SquadTest, BadFilesAreNamedWithThePlace) {
  const auto error = [](const json& value) {
    const std::string path = WriteJson("bad.json", value);
    const auto set = ReadSquad(path);
    EXPECT_EQ(set.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(set.status().message()), HasSubstr(path));
    return std::string(set.status().message());
  };
  EXPECT_THAT(error({{"version", "1.1"}}),
              HasSubstr("data: expected a member, found none"));
  EXPECT_THAT(error({{"data", json::array()}}),
              HasSubstr("expected questions, the file has none"));
  EXPECT_THAT(error(SquadJson("a b", {Asked("q", {Answer("b", 1)})})),
              HasSubstr("data[0].paragraphs[0].qas[0].answers[0].answer_start: "
                        "expected the place of 'b', found ' '"));
  EXPECT_THAT(error(SquadJson("a b", {Asked("q", {Answer("b", 99)})})),
              HasSubstr("expected the place of 'b', found ''"));
  EXPECT_THAT(error(SquadJson("a b", {Asked("q", {Answer("b", -1)})})),
              HasSubstr("expected a number of characters, found -1"));
  EXPECT_EQ(ReadSquad("no/such.json").status().code(),
            absl::StatusCode::kNotFound);
}

class WindowsTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(WriteTinyModel(FolderOfThisTest()).ok());
    tokenizer_ = *Tokenizer::Load(FolderOfThisTest());
  }

  QuestionWindows Make(const std::string& context, const std::string& answer,
                       int max_tokens) const {
    QuestionSet set;
    set.contexts = {context};
    Question& question = set.questions.emplace_back();
    question.id = "q";
    question.text = "x";
    const int32_t begin = static_cast<int32_t>(context.find(answer));
    question.answers = {answer};
    question.answer = {begin, begin + static_cast<int32_t>(answer.size())};
    const auto windows =
        MakeWindows(set, *tokenizer_, {max_tokens, /*doc_stride=*/2});
    EXPECT_TRUE(windows.ok()) << windows.status();
    return *windows;
  }

  std::unique_ptr<Tokenizer> tokenizer_;
};

TEST_F(WindowsTest, MarkTheAnswersTokensWhereTheyHoldAllOfIt) {
  // [CLS] x [SEP] and four tokens of context and [SEP]; the next window has
  // moved by two.
  const QuestionWindows windows = Make("a b c d e f g h", "c d", 8);
  ASSERT_EQ(windows.tokens.sequences.size(), 3u);
  const auto marks = [&](int w) {
    const Sequence& s = windows.tokens.sequences[w];
    return std::vector<int>{s.answer_first, s.answer_last};
  };
  EXPECT_THAT(marks(0), ElementsAre(5, 6));
  EXPECT_THAT(marks(1), ElementsAre(3, 4));
  EXPECT_THAT(marks(2), ElementsAre(0, 0));
  EXPECT_THAT(windows.question_indices, ElementsAre(0, 0, 0));
}

TEST_F(WindowsTest, AnAnswerCutByAWindowIsNotInIt) {
  const QuestionWindows windows = Make("a b c d e f", "d e", 8);
  ASSERT_EQ(windows.tokens.sequences.size(), 2u);
  EXPECT_EQ(windows.tokens.sequences[0].answer_first, 0);
  EXPECT_EQ(windows.tokens.sequences[1].answer_first, 4);
  EXPECT_EQ(windows.tokens.sequences[1].answer_last, 5);
}

TEST_F(WindowsTest, AnAnswerWithinATokenIsThatToken) {
  const QuestionWindows windows = Make("a $5 b", "5", 32);
  const Sequence& sequence = windows.tokens.sequences[0];
  const Encoding& encoding = windows.encodings[0];
  const TextSpan marked = encoding.offsets[sequence.answer_first];
  EXPECT_LE(marked.begin, 3);
  EXPECT_GE(marked.end, 4);
  EXPECT_EQ(sequence.answer_first, sequence.answer_last);
}

TEST_F(WindowsTest, TheBestWindowAnswersUnlessNoAnswerIsBetter) {
  QuestionWindows windows = Make("a b c d e f", "d e", 8);
  Logits logits;
  logits.outputs = 2;
  for (const Sequence& sequence : windows.tokens.sequences) {
    logits.starts.push_back(logits.starts.back() + 2 * sequence.ids.size());
  }
  logits.values.assign(logits.starts.back(), 0);
  logits.values[logits.starts[1] + 2 * 4] = 5;      // starts at d
  logits.values[logits.starts[1] + 2 * 5 + 1] = 5;  // ends at e
  EXPECT_EQ(PredictAnswers(logits, windows, {})["q"], "d e");

  // The least [CLS] of the windows counts: 10 + 1 in the first.
  windows.set.may_be_impossible = true;
  logits.values[0] = 10;
  logits.values[1] = 1;
  logits.values[logits.starts[1]] = 20;
  EXPECT_EQ(PredictAnswers(logits, windows, {})["q"], "");
  AnswerOptions cautious;
  cautious.no_answer_threshold = 1.5;
  EXPECT_EQ(PredictAnswers(logits, windows, cautious)["q"], "d e");
  windows.set.may_be_impossible = false;
  EXPECT_EQ(PredictAnswers(logits, windows, {})["q"], "d e");
}

TEST(SquadMetricTest, NormalizesAsTheOfficialEvaluator) {
  EXPECT_EQ(NormalizeAnswer("The U.S.  Navy's\u00a0an\tANT"), "us navys ant");
  EXPECT_EQ(NormalizeAnswer("theatre a-b the"), "theatre ab");
  // A dash that is not ASCII separates words for articles, yet stays.
  EXPECT_EQ(NormalizeAnswer("\u2014a\u2014b"), "\u2014 \u2014b");
  // A combining mark is no letter to Python's \b; a digit of any script is.
  EXPECT_EQ(NormalizeAnswer("a\u0301"), "\u0301");
  EXPECT_EQ(NormalizeAnswer("a\u0661"), "a\u0661");
  EXPECT_EQ(NormalizeAnswer("\u00c9COLE"), "\u00e9cole");
}

TEST(SquadMetricTest, F1CountsWordsAsOftenAsTheyStand) {
  // Two of three words in common with two of four.
  const AnswerScore score =
      ScoreAnswer("one two two", {"two two three four"}, false);
  EXPECT_EQ(score.exact_match, 0);
  EXPECT_DOUBLE_EQ(score.f1, 2 * (2.0 / 3) * 0.5 / (2.0 / 3 + 0.5));
}

TEST(SquadMetricTest, TheBestGoldAnswerCounts) {
  const AnswerScore score = ScoreAnswer("The Cat", {"dog", "cat!"}, false);
  EXPECT_EQ(score.exact_match, 1);
  EXPECT_EQ(score.f1, 1);
}

TEST(SquadMetricTest, VersionsDifferWhereNoWordsAre) {
  EXPECT_EQ(ScoreAnswer("", {"the"}, false).exact_match, 1);
  EXPECT_EQ(ScoreAnswer("", {"the"}, false).f1, 0);
  EXPECT_EQ(ScoreAnswer("", {}, true).f1, 1);
  EXPECT_EQ(ScoreAnswer("cat", {}, true).f1, 0);
  // A gold answer without words is none, so that beside it the other counts.
  EXPECT_EQ(ScoreAnswer("", {"the", "cat"}, true).exact_match, 0);
}

TEST(SquadMetricTest, AMissingPredictionIsNamed) {
  QuestionSet set;
  set.path = "dev.json";
  set.questions.emplace_back().id = "q7";
  const auto scores = ScorePredictions({}, set);
  EXPECT_THAT(std::string(scores.status().message()),
              HasSubstr("dev.json: question q7 has no prediction"));
}

TEST(SquadMetricTest, PredictionsComeBackAsWritten) {
  const Predictions written = {{"a", "\"x\" \u00e9"}, {"b", ""}};
  const std::string path = FolderOfThisTest() + "/predictions.json";
  ASSERT_TRUE(WritePredictions(written, path).ok());
  const auto read = ReadPredictions(path);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(*read, written);
}

}  // namespace
}  // namespace tern

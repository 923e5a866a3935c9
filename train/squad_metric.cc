#include "train/squad_metric.h"

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "files/regular_file.h"
#include "model/json_file.h"
#include "nlohmann/json.hpp"
#include "unicode/locid.h"
#include "unicode/uchar.h"
#include "unicode/unistr.h"

namespace tern {
namespace {

constexpr int64_t kMaxFileBytes = int64_t{1} << 30;

// str.isspace()
bool IsPythonSpace(UChar32 c) {
  if (u_charType(c) == U_SPACE_SEPARATOR) return true;
  const UCharDirection direction = u_charDirection(c);
  return direction == U_WHITE_SPACE_NEUTRAL || direction == U_BLOCK_SEPARATOR ||
         direction == U_SEGMENT_SEPARATOR;
}

// A word's character to the regular expression \b, but for the underscore,
// which is punctuation here.
bool IsPythonAlphanumeric(UChar32 c) {
  return u_isalpha(c) ||
         u_getIntPropertyValue(c, UCHAR_NUMERIC_TYPE) != U_NT_NONE;
}

bool IsAsciiPunctuation(UChar32 c) {
  return c < 0x80 && absl::ascii_ispunct(static_cast<unsigned char>(c));
}

// Articles become spaces. They may stand beside marks that are neither letters
// nor spaces, so words are not known yet.
icu::UnicodeString WithoutArticles(const icu::UnicodeString& text) {
  icu::UnicodeString kept, word;
  const auto end_word = [&] {
    const bool article = word == u"a" || word == u"an" || word == u"the";
    kept += article ? icu::UnicodeString(u" ") : word;
    word.remove();
  };
  for (int32_t i = 0; i < text.length(); i = text.moveIndex32(i, 1)) {
    const UChar32 c = text.char32At(i);
    if (IsPythonAlphanumeric(c)) {
      word.append(c);
      continue;
    }
    end_word();
    kept.append(c);
  }
  end_word();
  return kept;
}

std::vector<std::string> Words(absl::string_view normalized) {
  return absl::StrSplit(normalized, ' ', absl::SkipEmpty());
}

double F1(const std::string& predicted, const std::string& gold,
          bool may_be_impossible) {
  std::vector<std::string> a = Words(predicted), b = Words(gold);
  if (may_be_impossible && (a.empty() || b.empty())) {
    return a.empty() && b.empty() ? 1 : 0;
  }
  std::sort(a.begin(), a.end());
  std::sort(b.begin(), b.end());
  std::vector<std::string> common;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(),
                        std::back_inserter(common));
  if (common.empty()) return 0;
  const double precision = static_cast<double>(common.size()) / a.size();
  const double recall = static_cast<double>(common.size()) / b.size();
  return 2 * precision * recall / (precision + recall);
}

}  // namespace

std::string NormalizeAnswer(absl::string_view text) {
  icu::UnicodeString lower = icu::UnicodeString::fromUTF8(
      icu::StringPiece(text.data(), static_cast<int32_t>(text.size())));
  lower.toLower(icu::Locale::getRoot());
  icu::UnicodeString bare;
  for (int32_t i = 0; i < lower.length(); i = lower.moveIndex32(i, 1)) {
    const UChar32 c = lower.char32At(i);
    if (!IsAsciiPunctuation(c)) bare.append(c);
  }
  bare = WithoutArticles(bare);
  icu::UnicodeString spaced;
  for (int32_t i = 0; i < bare.length(); i = bare.moveIndex32(i, 1)) {
    const UChar32 c = bare.char32At(i);
    spaced.append(IsPythonSpace(c) ? UChar32{' '} : c);
  }
  std::string utf8;
  spaced.toUTF8String(utf8);
  return absl::StrJoin(Words(utf8), " ");
}

AnswerScore ScoreAnswer(absl::string_view predicted,
                        const std::vector<std::string>& gold,
                        bool may_be_impossible) {
  const std::string answer = NormalizeAnswer(predicted);
  std::vector<std::string> targets;
  for (const std::string& text : gold) {
    std::string target = NormalizeAnswer(text);
    if (may_be_impossible && target.empty()) continue;
    targets.push_back(std::move(target));
  }
  if (targets.empty()) targets.emplace_back();
  AnswerScore best;
  for (const std::string& target : targets) {
    best.exact_match = std::max(best.exact_match, answer == target ? 1.0 : 0.0);
    best.f1 = std::max(best.f1, F1(answer, target, may_be_impossible));
  }
  return best;
}

absl::StatusOr<Scores> ScorePredictions(const Predictions& predictions,
                                        const QuestionSet& set) {
  AnswerScore sum;
  for (const Question& question : set.questions) {
    const auto found = predictions.find(question.id);
    if (found == predictions.end()) {
      return absl::InvalidArgumentError(absl::StrCat(
          set.path, ": question ", question.id, " has no prediction"));
    }
    const AnswerScore score =
        ScoreAnswer(found->second, question.answers, set.may_be_impossible);
    sum.exact_match += score.exact_match;
    sum.f1 += score.f1;
  }
  const double count = static_cast<double>(set.questions.size());
  Scores scores;
  scores.metrics = {{"exact_match", sum.exact_match / count},
                    {"f1", sum.f1 / count}};
  scores.mean = (sum.exact_match + sum.f1) / (2 * count);
  return scores;
}

absl::StatusOr<Predictions> ReadPredictions(const std::string& path) {
  const absl::StatusOr<std::string> text = ReadSmallFile(path, kMaxFileBytes);
  if (!text.ok()) return text.status();
  const absl::StatusOr<nlohmann::json> object = ParseJsonObject(*text, path);
  if (!object.ok()) return object.status();
  Predictions predictions;
  for (const auto& [id, answer] : object->items()) {
    if (!answer.is_string()) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": question ", id, ": expected a string, found ",
                       answer.type_name()));
    }
    predictions[id] = answer.get<std::string>();
  }
  return predictions;
}

absl::Status WritePredictions(const Predictions& predictions,
                              const std::string& path) {
  const std::string text = nlohmann::json(predictions).dump() + "\n";
  return WriteFileAtomically(
      path, {{reinterpret_cast<const uint8_t*>(text.data()), text.size()}});
}

}  // namespace tern

#include "train/squad.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "files/regular_file.h"
#include "model/json_file.h"
#include "nlohmann/json.hpp"

namespace tern {
namespace {

using nlohmann::json;

// SQuAD 2.0's training set has 42 MB.
constexpr int64_t kMaxFileBytes = int64_t{1} << 30;

// A value of the file, and where it stands, as "data[3].title".
struct Place {
  const json* value;
  std::string name;
};

absl::Status Bad(const Place& place, absl::string_view expected,
                 absl::string_view found) {
  return absl::InvalidArgumentError(
      absl::StrCat(place.name, ": expected ", expected, ", found ", found));
}

absl::StatusOr<Place> Member(const Place& object, const char* key) {
  const Place place{nullptr, absl::StrCat(object.name, ".", key)};
  if (!object.value->is_object() || !object.value->contains(key)) {
    return Bad(place, "a member", "none");
  }
  return Place{&(*object.value)[key], place.name};
}

absl::StatusOr<std::string> StringMember(const Place& object, const char* key) {
  const absl::StatusOr<Place> member = Member(object, key);
  if (!member.ok()) return member.status();
  if (member->value->is_string()) return member->value->get<std::string>();
  return Bad(*member, "a string", member->value->type_name());
}

// Calls read(element) for each element of the array object[key].
template <typename Read>
absl::Status ForEach(const Place& object, const char* key, const Read& read) {
  const absl::StatusOr<Place> member = Member(object, key);
  if (!member.ok()) return member.status();
  if (!member->value->is_array()) {
    return Bad(*member, "an array", member->value->type_name());
  }
  for (size_t i = 0; i < member->value->size(); ++i) {
    absl::Status status = read(
        Place{&(*member->value)[i], absl::StrCat(member->name, "[", i, "]")});
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

// Where each code point of a valid UTF-8 text begins, and its end: SQuAD counts
// code points.
std::vector<int32_t> CodePointBegins(absl::string_view text) {
  std::vector<int32_t> begins;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool continues = (static_cast<unsigned char>(text[i]) & 0xC0) == 0x80;
    if (!continues) begins.push_back(static_cast<int32_t>(i));
  }
  begins.push_back(static_cast<int32_t>(text.size()));
  return begins;
}

class Reader {
 public:
  explicit Reader(QuestionSet& set) : set_(set) {}

  absl::Status Read(const std::string& path) {
    const absl::StatusOr<std::string> text = ReadSmallFile(path, kMaxFileBytes);
    if (!text.ok()) return text.status();
    const absl::StatusOr<json> root = ParseJsonObject(*text, path);
    if (!root.ok()) return root.status();
    const size_t before = set_.questions.size();
    absl::Status status = ForEach(
        {&*root, absl::StrCat(path, ": ")}, "data", [&](const Place& article) {
          return ForEach(article, "paragraphs", [&](const Place& paragraph) {
            return ReadParagraph(paragraph);
          });
        });
    if (status.ok() && set_.questions.size() == before) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": expected questions, the file has none"));
    }
    return status;
  }

 private:
  absl::Status ReadParagraph(const Place& paragraph) {
    absl::StatusOr<std::string> context = StringMember(paragraph, "context");
    if (!context.ok()) return context.status();
    begins_ = CodePointBegins(*context);
    set_.contexts.push_back(*std::move(context));
    return ForEach(paragraph, "qas", [&](const Place& question) {
      return ReadQuestion(question);
    });
  }

  absl::Status ReadQuestion(const Place& place) {
    absl::StatusOr<std::string> id = StringMember(place, "id");
    if (!id.ok()) return id.status();
    absl::StatusOr<std::string> text = StringMember(place, "question");
    if (!text.ok()) return text.status();
    set_.may_be_impossible |= place.value->contains("is_impossible");
    Question question;
    question.id = *std::move(id);
    question.text = *std::move(text);
    question.context = static_cast<int>(set_.contexts.size()) - 1;
    std::vector<TextSpan> spans;
    absl::Status status = ForEach(place, "answers", [&](const Place& answer) {
      return ReadAnswer(answer, question.answers, spans);
    });
    if (!status.ok()) return status;
    question.answer = MostFrequent(spans);
    set_.questions.push_back(std::move(question));
    return absl::OkStatus();
  }

  absl::Status ReadAnswer(const Place& place, std::vector<std::string>& answers,
                          std::vector<TextSpan>& spans) {
    absl::StatusOr<std::string> text = StringMember(place, "text");
    if (!text.ok()) return text.status();
    const absl::StatusOr<Place> start = Member(place, "answer_start");
    if (!start.ok()) return start.status();
    if (!start->value->is_number_unsigned()) {
      return Bad(*start, "a number of characters", start->value->dump());
    }
    const uint64_t position = start->value->get<uint64_t>();
    const absl::string_view context = set_.contexts.back();
    const size_t begin =
        position < begins_.size() ? begins_[position] : context.size();
    if (context.substr(begin, text->size()) != *text) {
      return Bad(*start, absl::StrCat("the place of '", *text, "'"),
                 absl::StrCat("'", context.substr(begin, text->size()), "'"));
    }
    spans.push_back({static_cast<int32_t>(begin),
                     static_cast<int32_t>(begin + text->size())});
    answers.push_back(*std::move(text));
    return absl::OkStatus();
  }

  static TextSpan MostFrequent(const std::vector<TextSpan>& spans) {
    const auto best = std::max_element(
        spans.begin(), spans.end(), [&](const TextSpan& a, const TextSpan& b) {
          return std::count(spans.begin(), spans.end(), a) <
                 std::count(spans.begin(), spans.end(), b);
        });
    return best == spans.end() ? TextSpan{} : *best;
  }

  QuestionSet& set_;
  std::vector<int32_t> begins_;  // of the last context
};

// The tokens that `answer` lies in, where the window holds all of it.
void MarkAnswer(const Encoding& window, const TextSpan& answer,
                Sequence& sequence) {
  const int first = window.pair_begin;
  const int last = static_cast<int>(window.ids.size()) - 2;  // before [SEP]
  if (answer.begin == answer.end || first > last ||
      window.offsets[first].begin > answer.begin ||
      window.offsets[last].end < answer.end) {
    return;
  }
  int begin = first, end = last;
  while (begin < last && window.offsets[begin].end <= answer.begin) ++begin;
  while (end > begin && window.offsets[end].begin >= answer.end) --end;
  sequence.answer_first = begin;
  sequence.answer_last = end;
}

}  // namespace

absl::StatusOr<QuestionSet> ReadSquad(absl::string_view paths) {
  QuestionSet set;
  set.path = std::string(paths);
  for (absl::string_view path : absl::StrSplit(paths, ',')) {
    absl::Status status = Reader(set).Read(std::string(path));
    if (!status.ok()) return status;
  }
  return set;
}

absl::StatusOr<QuestionWindows> MakeWindows(QuestionSet set,
                                            const Tokenizer& tokenizer,
                                            const WindowOptions& options) {
  QuestionWindows windows;
  windows.tokens.path = set.path;
  for (size_t i = 0; i < set.questions.size(); ++i) {
    const Question& question = set.questions[i];
    absl::StatusOr<std::vector<Encoding>> encodings =
        tokenizer.EncodeWindows(question.text, set.contexts[question.context],
                                options.max_tokens, options.doc_stride);
    if (!encodings.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat(set.path, ": question ", question.id, ": ",
                       encodings.status().message()));
    }
    for (Encoding& encoding : *encodings) {
      Sequence& sequence = windows.tokens.sequences.emplace_back();
      sequence.ids = encoding.ids;
      sequence.type_ids = encoding.type_ids;
      sequence.source = absl::StrCat("question ", question.id);
      MarkAnswer(encoding, question.answer, sequence);
      windows.encodings.push_back(std::move(encoding));
      windows.question_indices.push_back(static_cast<int>(i));
    }
  }
  windows.set = std::move(set);
  return windows;
}

}  // namespace tern

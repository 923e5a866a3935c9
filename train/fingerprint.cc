#include "train/fingerprint.h"

#include <cstdint>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "model/sha256.h"

namespace tern {
namespace {

std::string Digest(const std::string& text) {
  constexpr size_t kDigits = 16;
  return Sha256Hex({reinterpret_cast<const uint8_t*>(text.data()), text.size()})
      .substr(0, kDigits);
}

template <typename T>
void Append(const std::vector<T>& values, std::string& text) {
  absl::StrAppend(&text, values.size(), " ");
  text.append(reinterpret_cast<const char*>(values.data()),
              values.size() * sizeof(T));
}

}  // namespace

std::string Fingerprint(const Dataset& dataset) {
  std::string text;
  for (const Example& example : dataset.examples) {
    // Neither has tabs or ends of lines.
    absl::StrAppend(&text, example.text, "\t", example.pair, "\n");
  }
  return Digest(text);
}

std::string Fingerprint(const TokenizedDataset& dataset) {
  std::string text;
  for (const Sequence& sequence : dataset.sequences) {
    Append(sequence.ids, text);
    Append(sequence.type_ids, text);
    absl::StrAppend(&text, sequence.label, " ", sequence.answer_first, " ",
                    sequence.answer_last, "\n");
  }
  return Digest(text);
}

std::string Fingerprint(const QuestionSet& set) {
  std::string text = set.may_be_impossible ? "2.0\n" : "1.1\n";
  for (const Question& question : set.questions) {
    absl::StrAppend(&text, question.id, "\n", question.answers.size(), "\n");
    for (const std::string& answer : question.answers) {
      absl::StrAppend(&text, answer.size(), " ", answer, "\n");
    }
  }
  return Digest(text);
}

std::string Fingerprint(const TensorMap& tensors) {
  std::string text;
  for (const auto& [name, tensor] : tensors) {
    absl::StrAppend(&text, name, " ",
                    Sha256Hex({static_cast<const uint8_t*>(tensor.data_ptr()),
                               tensor.nbytes()}),
                    "\n");
  }
  return Digest(text);
}

}  // namespace tern

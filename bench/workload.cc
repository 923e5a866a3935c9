#include "bench/workload.h"

#include <algorithm>
#include <fstream>
#include <random>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace tern {
namespace {

// [CLS] and [SEP].
constexpr int kSpecialTokens = 2;

// Tokens that a text can spell out: lower-case ASCII words.
absl::StatusOr<std::vector<std::string>> PlainWords(const std::string& folder) {
  const std::string path = folder + "/vocab.txt";
  std::ifstream file(path);
  if (!file) return absl::NotFoundError(absl::StrCat(path, ": not found"));
  std::vector<std::string> words;
  for (std::string line; std::getline(file, line);) {
    if (!line.empty() &&
        std::all_of(line.begin(), line.end(), absl::ascii_islower)) {
      words.push_back(line);
    }
  }
  if (words.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": expected lower-case words, found none"));
  }
  return words;
}

}  // namespace

absl::StatusOr<Encoding> Encode(const Tokenizer& tokenizer,
                                const WorkloadText& text, int max_tokens) {
  return text.pair.has_value()
             ? tokenizer.EncodePair(text.text, *text.pair, max_tokens)
             : tokenizer.Encode(text.text, max_tokens);
}

absl::StatusOr<Workload> MakeWorkload(const std::string& folder,
                                      const Tokenizer& tokenizer, int tokens,
                                      int sequences) {
  if (tokens <= kSpecialTokens || sequences < 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        "expected sequences of 3 tokens or more and at least one, found ",
        sequences, " of ", tokens));
  }
  const absl::StatusOr<std::vector<std::string>> words = PlainWords(folder);
  if (!words.ok()) return words.status();

  std::mt19937 random(1);
  Workload workload;
  workload.max_tokens = tokens;
  workload.max_batch_tokens = tokens * sequences;
  workload.batches.emplace_back();
  for (int s = 0; s < sequences; ++s) {
    WorkloadText text;
    for (int i = kSpecialTokens; i < tokens; ++i) {
      absl::StrAppend(&text.text, (*words)[random() % words->size()], " ");
    }
    // One token more than asked for would show as a cut sequence.
    const absl::StatusOr<Encoding> encoding =
        Encode(tokenizer, text, tokens + 1);
    if (!encoding.ok()) return encoding.status();
    if (static_cast<int>(encoding->ids.size()) != tokens) {
      return absl::InvalidArgumentError(absl::StrCat(
          folder, "/vocab.txt: expected ", tokens,
          " tokens of as many words, found ", encoding->ids.size()));
    }
    workload.batches[0].push_back(std::move(text));
  }
  workload.tokens = int64_t{tokens} * sequences;
  workload.sequences = sequences;
  return workload;
}

absl::StatusOr<Workload> ReadWorkload(const std::string& path,
                                      const Tokenizer& tokenizer,
                                      int max_tokens, int max_batch_tokens) {
  std::ifstream file(path);
  if (!file) return absl::NotFoundError(absl::StrCat(path, ": not found"));
  Workload workload;
  workload.max_tokens = max_tokens;
  workload.max_batch_tokens = max_batch_tokens;
  int batch_tokens = 0;
  for (std::string line; std::getline(file, line);) {
    WorkloadText text;
    const size_t tab = line.find('\t');
    text.text = line.substr(0, tab);
    if (tab != std::string::npos) text.pair = line.substr(tab + 1);
    const absl::StatusOr<Encoding> encoding =
        Encode(tokenizer, text, max_tokens);
    if (!encoding.ok()) {
      return absl::Status(encoding.status().code(),
                          absl::StrCat(path, ":", workload.sequences + 1, ": ",
                                       encoding.status().message()));
    }
    const int tokens = static_cast<int>(encoding->ids.size());
    if (workload.batches.empty() || batch_tokens + tokens > max_batch_tokens) {
      workload.batches.emplace_back();
      batch_tokens = 0;
    }
    workload.batches.back().push_back(std::move(text));
    batch_tokens += tokens;
    workload.tokens += tokens;
    ++workload.sequences;
  }
  if (workload.batches.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": expected a text a line, found no line"));
  }
  return workload;
}

}  // namespace tern

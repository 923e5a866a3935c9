// Labelled texts from tab-separated files.
//
// GLUE's dialect: one example a line, no quoting, an optional byte order mark,
// lines end in LF or CRLF.
//
// Thread-safe: pure functions.

#ifndef TERN_TRAIN_DATASET_H_
#define TERN_TRAIN_DATASET_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tokenizer/tokenizer.h"
#include "train/task.h"

namespace tern {

struct Example {
  std::string text;
  std::string pair;
  float label = 0;  // index into TaskSpec::labels, or the number itself
  int line = 0;     // of the file, from 1
};

struct Dataset {
  std::string path;
  bool pairs = false;
  std::vector<Example> examples;
  int skipped_lines = 0;  // TaskSpec::skip_short_lines
};

// Errors: NOT_FOUND; INVALID_ARGUMENT naming file and line for a missing
// column, a line with fewer columns than needed, an unknown label, a score that
// is no number, or a file without examples.
absl::StatusOr<Dataset> ReadDataset(const std::string& path,
                                    const TaskSpec& task);

// The labels of a file, sorted: for tasks whose labels nobody listed.
// Errors: as above.
absl::StatusOr<std::vector<std::string>> CollectLabels(const std::string& path,
                                                       const TaskSpec& task);

// An example, or one window of a question's context, as token ids.
struct Sequence {
  std::vector<int32_t> ids;
  std::vector<int32_t> type_ids;
  float label = 0;  // not for question answering
  // Question answering: the answer's first and last token; both 0, which is
  // [CLS], where the window does not hold it.
  int32_t answer_first = 0;
  int32_t answer_last = 0;
  std::string source;  // its line in the file, or its question's id
};

struct TokenizedDataset {
  std::string path;
  std::vector<Sequence> sequences;
};

// Cuts each example to `max_tokens`. Errors: INVALID_ARGUMENT for invalid
// UTF-8, naming file and line.
absl::StatusOr<TokenizedDataset> Tokenize(const Dataset& dataset,
                                          const Tokenizer& tokenizer,
                                          int max_tokens);

}  // namespace tern

#endif  // TERN_TRAIN_DATASET_H_

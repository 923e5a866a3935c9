#include "train/dataset.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <functional>
#include <set>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "tokenizer/utf8.h"

namespace tern {
namespace {

using Fields = std::vector<absl::string_view>;

absl::Status BadLine(const std::string& path, int line,
                     absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(path, ":", line, ": ", what));
}

// Where a task's columns stand in a file; pair is -1 for single texts.
struct Columns {
  int text = 0;
  int pair = -1;
  int label = 0;

  int last() const { return std::max({text, pair, label}); }
};

absl::StatusOr<int> FindColumn(const std::string& path, const TaskSpec& task,
                               const std::string& column,
                               const Fields& header) {
  if (!task.header) {
    int index = 0;
    if (absl::SimpleAtoi(column, &index) && index >= 0) return index;
    return BadLine(path, 1,
                   absl::StrCat("the file has no header line, so columns are "
                                "numbers from 0; found '",
                                column, "'"));
  }
  const auto found = std::find(header.begin(), header.end(), column);
  if (found == header.end()) {
    return BadLine(
        path, 1,
        absl::StrCat("expected a column '", column, "', the header has ",
                     absl::StrJoin(header, ", ")));
  }
  return static_cast<int>(found - header.begin());
}

absl::StatusOr<Columns> FindColumns(const std::string& path,
                                    const TaskSpec& task,
                                    const Fields& header) {
  Columns columns;
  for (const auto& [name, index] :
       {std::pair{&task.text_column, &columns.text},
        std::pair{&task.pair_column, &columns.pair},
        std::pair{&task.label_column, &columns.label}}) {
    if (name->empty()) continue;
    const absl::StatusOr<int> found = FindColumn(path, task, *name, header);
    if (!found.ok()) return found.status();
    *index = *found;
  }
  return columns;
}

// Calls use(fields, columns, line number) for each example. Returns how many
// lines the task leaves out.
absl::StatusOr<int> ForEachExample(
    const std::string& path, const TaskSpec& task,
    const std::function<absl::Status(const Fields&, const Columns&, int)>&
        use) {
  std::ifstream file(path);
  if (!file) return absl::NotFoundError(absl::StrCat(path, ": cannot be read"));
  std::string text;
  int line = 0;
  int used = 0;
  int skipped = 0;
  bool have_columns = false;
  Columns columns;
  while (std::getline(file, text)) {
    ++line;
    absl::string_view view = text;
    if (line == 1) absl::ConsumePrefix(&view, "\xEF\xBB\xBF");
    absl::ConsumeSuffix(&view, "\r");
    const Fields fields = absl::StrSplit(view, '\t');
    if (!have_columns) {
      const absl::StatusOr<Columns> found = FindColumns(path, task, fields);
      if (!found.ok()) return found.status();
      columns = *found;
      have_columns = true;
      if (task.header) continue;
    }
    if (static_cast<int>(fields.size()) <= columns.last()) {
      if (task.skip_short_lines) {
        ++skipped;
        continue;
      }
      return BadLine(
          path, line,
          absl::StrCat("expected at least ", columns.last() + 1,
                       " tab-separated columns, found ", fields.size()));
    }
    absl::Status status = use(fields, columns, line);
    if (!status.ok()) return status;
    ++used;
  }
  if (file.bad()) {
    return absl::UnavailableError(absl::StrCat(path, ": cannot be read"));
  }
  if (used == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": expected examples, the file has none"));
  }
  return skipped;
}

absl::StatusOr<float> ParseLabel(const std::string& path, int line,
                                 const TaskSpec& task,
                                 absl::string_view label) {
  if (task.regression()) {
    float score = 0;
    if (absl::SimpleAtof(label, &score) && std::isfinite(score)) return score;
    return BadLine(path, line,
                   absl::StrCat("expected a score, found '", label, "'"));
  }
  const auto found = std::find(task.labels.begin(), task.labels.end(), label);
  if (found == task.labels.end()) {
    return BadLine(
        path, line,
        absl::StrCat("expected a label of ", absl::StrJoin(task.labels, ", "),
                     "; found '", label, "'"));
  }
  return static_cast<float>(found - task.labels.begin());
}

}  // namespace

absl::StatusOr<Dataset> ReadDataset(const std::string& path,
                                    const TaskSpec& task) {
  Dataset dataset;
  dataset.path = path;
  dataset.pairs = !task.pair_column.empty();
  const absl::StatusOr<int> skipped = ForEachExample(
      path, task, [&](const Fields& fields, const Columns& columns, int line) {
        const absl::StatusOr<float> label =
            ParseLabel(path, line, task, fields[columns.label]);
        if (!label.ok()) return label.status();
        Example& example = dataset.examples.emplace_back();
        example.text = std::string(fields[columns.text]);
        if (columns.pair >= 0) example.pair = std::string(fields[columns.pair]);
        example.label = *label;
        example.line = line;
        return absl::OkStatus();
      });
  if (!skipped.ok()) return skipped.status();
  dataset.skipped_lines = *skipped;
  return dataset;
}

absl::StatusOr<std::vector<std::string>> CollectLabels(const std::string& path,
                                                       const TaskSpec& task) {
  std::set<std::string> labels;
  const absl::StatusOr<int> skipped = ForEachExample(
      path, task, [&](const Fields& fields, const Columns& columns, int line) {
        const absl::string_view label = fields[columns.label];
        if (FindInvalidUtf8(label) != absl::string_view::npos) {
          return BadLine(path, line, "expected a label in UTF-8");
        }
        labels.emplace(label);
        return absl::OkStatus();
      });
  if (!skipped.ok()) return skipped.status();
  return std::vector<std::string>(labels.begin(), labels.end());
}

absl::StatusOr<TokenizedDataset> Tokenize(const Dataset& dataset,
                                          const Tokenizer& tokenizer,
                                          int max_tokens) {
  TokenizedDataset tokenized;
  tokenized.path = dataset.path;
  tokenized.sequences.reserve(dataset.examples.size());
  for (const Example& example : dataset.examples) {
    absl::StatusOr<Encoding> encoding =
        dataset.pairs
            ? tokenizer.EncodePair(example.text, example.pair, max_tokens)
            : tokenizer.Encode(example.text, max_tokens);
    if (!encoding.ok()) {
      return BadLine(dataset.path, example.line, encoding.status().message());
    }
    Sequence& sequence = tokenized.sequences.emplace_back();
    sequence.ids = std::move(encoding->ids);
    sequence.type_ids = std::move(encoding->type_ids);
    sequence.label = example.label;
    sequence.source = absl::StrCat("line ", example.line);
  }
  return tokenized;
}

}  // namespace tern

// The tasks that tern-train knows: where texts and labels stand in their files,
// and by which metrics they are judged (GLUE, Wang et al. 2018).
//
// Thread-safe: pure functions.

#ifndef TERN_TRAIN_TASK_H_
#define TERN_TRAIN_TASK_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "train/metrics.h"

namespace tern {

// A column of a TSV: by its name in the header line or, in files without one,
// by its number from 0.
struct TaskSpec {
  std::string name;  // "sst-2"
  // The files are SQuAD's JSON; there are no columns, labels or metrics to
  // choose.
  bool question_answering = false;
  bool header = true;
  std::string text_column{};
  std::string pair_column{};  // empty for single texts
  std::string label_column{};
  // Lines with too few columns are left out: GLUE's first QQP has such, broken
  // within a question. In other tasks they are errors.
  bool skip_short_lines = false;
  // The labels are still to be found: ResolveLabels() in train/task_data.h.
  bool labels_unknown = false;
  // Labels as the file spells them, in the order of the model's outputs; empty
  // for regression.
  std::vector<std::string> labels{};
  // What the model's config.json calls them.
  std::vector<std::string> label_names{};
  std::string train_file = "train.tsv";
  std::string dev_file = "dev.tsv";
  // Their mean decides which model is the best.
  std::vector<Metric> metrics{};

  bool regression() const { return labels.empty() && !question_answering; }
};

// Errors: NOT_FOUND listing the tasks.
absl::StatusOr<TaskSpec> FindTask(absl::string_view name);

std::vector<std::string> TaskNames();

}  // namespace tern

#endif  // TERN_TRAIN_TASK_H_

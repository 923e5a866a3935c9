#include "train/task.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace tern {
namespace {

// Labels in the order of GLUE's own processors.
const std::vector<TaskSpec>& Tasks() {
  static const std::vector<TaskSpec>& tasks = *new std::vector<TaskSpec>{
      {.name = "sst-2",
       .text_column = "sentence",
       .label_column = "label",
       .labels = {"0", "1"},
       .label_names = {"negative", "positive"},
       .metrics = {Metric::kAccuracy}},
      {.name = "cola",
       .header = false,
       .text_column = "3",
       .label_column = "1",
       .labels = {"0", "1"},
       .label_names = {"unacceptable", "acceptable"},
       .metrics = {Metric::kMatthews}},
      {.name = "mrpc",
       .text_column = "#1 String",
       .pair_column = "#2 String",
       .label_column = "Quality",
       .labels = {"0", "1"},
       .label_names = {"not_equivalent", "equivalent"},
       .metrics = {Metric::kF1, Metric::kAccuracy}},
      {.name = "qqp",
       .text_column = "question1",
       .pair_column = "question2",
       .label_column = "is_duplicate",
       .skip_short_lines = true,
       .labels = {"0", "1"},
       .label_names = {"not_duplicate", "duplicate"},
       .metrics = {Metric::kF1, Metric::kAccuracy}},
      {.name = "sts-b",
       .text_column = "sentence1",
       .pair_column = "sentence2",
       .label_column = "score",
       .metrics = {Metric::kPearson, Metric::kSpearman}},
      {.name = "rte",
       .text_column = "sentence1",
       .pair_column = "sentence2",
       .label_column = "label",
       .labels = {"entailment", "not_entailment"},
       .label_names = {"entailment", "not_entailment"},
       .metrics = {Metric::kAccuracy}},
      {.name = "qnli",
       .text_column = "question",
       .pair_column = "sentence",
       .label_column = "label",
       .labels = {"entailment", "not_entailment"},
       .label_names = {"entailment", "not_entailment"},
       .metrics = {Metric::kAccuracy}},
      {.name = "mnli",
       .text_column = "sentence1",
       .pair_column = "sentence2",
       .label_column = "gold_label",
       .labels = {"contradiction", "entailment", "neutral"},
       .label_names = {"contradiction", "entailment", "neutral"},
       .dev_file = "dev_matched.tsv",
       .metrics = {Metric::kAccuracy}},
      {.name = "squad",
       .question_answering = true,
       .train_file = "train-v1.1.json",
       .dev_file = "dev-v1.1.json"},
  };
  return tasks;
}

}  // namespace

std::vector<std::string> TaskNames() {
  std::vector<std::string> names;
  for (const TaskSpec& task : Tasks()) names.push_back(task.name);
  return names;
}

absl::StatusOr<TaskSpec> FindTask(absl::string_view name) {
  for (const TaskSpec& task : Tasks()) {
    if (task.name == name) return task;
  }
  return absl::NotFoundError(absl::StrCat("task '", name,
                                          "' is unknown; there are ",
                                          absl::StrJoin(TaskNames(), ", ")));
}

}  // namespace tern

#include "train/task_data.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <iterator>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "files/regular_file.h"
#include "tokenizer/tokenizer.h"
#include "train/augmentation.h"
#include "train/fingerprint.h"
#include "train/masked_lm.h"
#include "train/run_folder.h"
#include "train/squad_metric.h"

namespace tern {
namespace {

absl::StatusOr<std::string> ReadVocabulary(const std::string& folder) {
  constexpr int64_t kMaxBytes = int64_t{1} << 26;
  return ReadSmallFile(folder + "/vocab.txt", kMaxBytes);
}

absl::StatusOr<TaskData> ReadExamples(const std::string& path, size_t limit,
                                      const TaskSpec& task,
                                      const Tokenizer& tokenizer,
                                      int max_tokens) {
  absl::StatusOr<Dataset> dataset = ReadDataset(path, task);
  if (!dataset.ok()) return dataset.status();
  if (dataset->skipped_lines > 0) {
    std::fprintf(stderr,
                 "tern-train: %s: %d lines with too few columns left out\n",
                 path.c_str(), dataset->skipped_lines);
  }
  if (dataset->examples.size() > limit) dataset->examples.resize(limit);
  absl::StatusOr<TokenizedDataset> tokens =
      Tokenize(*dataset, tokenizer, max_tokens);
  if (!tokens.ok()) return tokens.status();
  return TaskData{*std::move(tokens), std::nullopt};
}

absl::StatusOr<TaskData> ReadQuestions(const std::string& path, size_t limit,
                                       const Tokenizer& tokenizer,
                                       const WindowOptions& options) {
  if (options.doc_stride > options.max_tokens - 5) {
    return absl::InvalidArgumentError(
        absl::StrCat("--doc-stride: expected at most ", options.max_tokens - 5,
                     " for a model of ", options.max_tokens,
                     " positions, found ", options.doc_stride));
  }
  absl::StatusOr<QuestionSet> set = ReadSquad(path);
  if (!set.ok()) return set.status();
  if (set->questions.size() > limit) set->questions.resize(limit);
  absl::StatusOr<QuestionWindows> windows =
      MakeWindows(*std::move(set), tokenizer, options);
  if (!windows.ok()) return windows.status();
  TokenizedDataset tokens = std::move(windows->tokens);
  return TaskData{std::move(tokens), *std::move(windows)};
}

// The tokenizer of the model in `folder`, all of whose ids it knows.
absl::StatusOr<std::unique_ptr<Tokenizer>> LoadTokenizer(
    const std::string& folder, const BertConfig& config) {
  absl::StatusOr<std::unique_ptr<Tokenizer>> tokenizer =
      Tokenizer::Load(folder);
  if (!tokenizer.ok()) return tokenizer;
  const int tokens = (*tokenizer)->vocabulary_size();
  if (tokens <= config.vocabulary_size) return tokenizer;
  return absl::InvalidArgumentError(absl::StrCat(
      folder, "/vocab.txt: expected at most ", config.vocabulary_size,
      " tokens (vocab_size of config.json), found ", tokens));
}

// Only the first `examples` of the file, if that is not 0, as the model in
// `folder` reads them.
absl::StatusOr<TaskData> ReadTaskData(const std::string& path, int examples,
                                      const CommandOptions& options,
                                      const std::string& folder,
                                      const BertConfig& config) {
  const absl::StatusOr<std::unique_ptr<Tokenizer>> tokenizer =
      LoadTokenizer(folder, config);
  if (!tokenizer.ok()) return tokenizer.status();
  const size_t limit = examples == 0 ? SIZE_MAX : examples;
  WindowOptions windows = options.windows;
  windows.max_tokens = std::min(windows.max_tokens, config.max_positions);
  if (options.task.question_answering) {
    return ReadQuestions(path, limit, **tokenizer, windows);
  }
  return ReadExamples(path, limit, options.task, **tokenizer,
                      windows.max_tokens);
}

// A word for each id that a masked language model may predict; "" where the
// vocabulary has none.
absl::StatusOr<std::vector<std::string>> ReadWords(const std::string& folder,
                                                   const BertConfig& config) {
  const absl::StatusOr<std::string> text = ReadVocabulary(folder);
  if (!text.ok()) return text.status();
  std::vector<std::string> words =
      absl::StrSplit(absl::StripSuffix(*text, "\n"), '\n');
  for (std::string& word : words) absl::StripTrailingAsciiWhitespace(&word);
  words.resize(config.vocabulary_size);
  return words;
}

// The copies of the training examples that --augment asks for, as the model in
// `folder` reads them.
absl::StatusOr<TokenizedDataset> ReadCopies(const CommandOptions& options,
                                            const std::string& folder,
                                            const BertConfig& model_config) {
  const RunFolder run{options.out};
  const std::string& source = options.augmentation_model;
  // Any head will do: the encoder is what is taken.
  TaskSpec any;
  any.question_answering = true;
  absl::Status status = MakeBase(source, any, run.augmentation_base());
  if (!status.ok()) return status;
  const absl::StatusOr<BertConfig> config = LoadConfig(run.augmentation_base());
  if (!config.ok()) return config.status();
  const absl::StatusOr<MaskedLm> lm =
      MaskedLm::Load(*config, WeightsFile(source));
  if (!lm.ok()) return lm.status();
  const absl::StatusOr<std::unique_ptr<Tokenizer>> reader =
      LoadTokenizer(run.augmentation_base(), *config);
  if (!reader.ok()) return reader.status();
  const absl::StatusOr<std::vector<std::string>> words =
      ReadWords(source, *config);
  if (!words.ok()) return words.status();
  const absl::StatusOr<Dataset> examples =
      ReadDataset(options.train_path, options.task);
  if (!examples.ok()) return examples.status();
  AugmentationOptions augmentation = options.augmentation;
  augmentation.max_tokens =
      std::min(augmentation.max_tokens, config->max_positions);
  const absl::StatusOr<Dataset> copies = Augment(
      *examples, **reader, *words,
      [&](const TokenBatch& batch, const torch::Tensor& rows) {
        return lm->Logits(batch, rows);
      },
      augmentation,
      absl::StrFormat("%s --seed=%d --max-tokens=%d model=%s",
                      DescribeAugmentation(options), augmentation.seed,
                      augmentation.max_tokens, Fingerprint(lm->parameters())),
      run.augmented());
  if (!copies.ok()) return copies.status();
  const absl::StatusOr<std::unique_ptr<Tokenizer>> tokenizer =
      LoadTokenizer(folder, model_config);
  if (!tokenizer.ok()) return tokenizer.status();
  return Tokenize(
      *copies, **tokenizer,
      std::min(options.windows.max_tokens, model_config.max_positions));
}

// Not what Hugging Face writes where nobody named them.
bool HasNamedLabels(const BertConfig& config) {
  return !config.labels.empty() && config.labels[0] != "LABEL_0";
}

// Takes the order of `names`, where they are the task's: other names say
// nothing.
void OrderLabels(const std::vector<std::string>& names, TaskSpec& task) {
  std::vector<std::string> labels, label_names;
  for (const std::string& name : names) {
    const auto same = std::find_if(
        task.label_names.begin(), task.label_names.end(),
        [&](const std::string& n) { return absl::EqualsIgnoreCase(n, name); });
    if (same == task.label_names.end()) return;
    label_names.push_back(*same);
    labels.push_back(task.labels[same - task.label_names.begin()]);
  }
  if (labels.size() != task.labels.size()) return;
  task.labels = labels;
  task.label_names = label_names;
}

}  // namespace

absl::Status ResolveLabels(CommandOptions& options) {
  TaskSpec& task = options.task;
  const bool labelled = task.labels_unknown || !task.labels.empty();
  if (!labelled) return absl::OkStatus();
  const std::string& model =
      options.command == "finetune" ? options.teacher : options.from;
  if (!model.empty()) {
    const absl::StatusOr<BertConfig> config = LoadConfig(model);
    if (!config.ok()) return config.status();
    if (HasNamedLabels(*config)) {
      if (task.labels_unknown) {
        task.labels = task.label_names = config->labels;
      } else {
        OrderLabels(config->labels, task);
      }
      return absl::OkStatus();
    }
  }
  if (!task.labels_unknown) return absl::OkStatus();
  absl::StatusOr<std::vector<std::string>> labels = CollectLabels(
      options.train_path.empty() ? options.dev_path : options.train_path, task);
  if (!labels.ok()) return labels.status();
  task.labels = task.label_names = *std::move(labels);
  return absl::OkStatus();
}

std::string WeightsFile(const std::string& folder) {
  return folder + "/model.safetensors";
}

absl::Status CheckSameVocabulary(const std::string& folder,
                                 const std::string& other) {
  const absl::StatusOr<std::string> words = ReadVocabulary(folder);
  if (!words.ok()) return words.status();
  const absl::StatusOr<std::string> others = ReadVocabulary(other);
  if (!others.ok()) return others.status();
  if (*words == *others) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(other, "/vocab.txt: expected the vocabulary of ", folder,
                   ", found another"));
}

absl::Status CheckHead(const BertConfig& config, const std::string& folder,
                       const TaskSpec& task) {
  const bool answers = config.task == Task::kQuestionAnswering;
  if (answers != task.question_answering) {
    return absl::InvalidArgumentError(absl::StrCat(
        folder, ": expected a ",
        task.question_answering ? "question answerer" : "classifier",
        " for task ", task.name, ", found a ",
        answers ? "question answerer" : "classifier"));
  }
  const bool pairs = answers || !task.pair_column.empty();
  if (pairs && !config.takes_pairs()) {
    return absl::InvalidArgumentError(absl::StrCat(
        folder, ": expected a model of two token types for the pairs of task ",
        task.name, ", found type_vocab_size ", config.type_vocabulary_size));
  }
  if (answers) return absl::OkStatus();
  const size_t outputs = task.regression() ? 1 : task.labels.size();
  if (config.outputs() != static_cast<int>(outputs)) {
    return absl::InvalidArgumentError(absl::StrCat(
        folder, ": expected a model of ", outputs, " outputs for task ",
        task.name, ", found ", config.outputs()));
  }
  const Task kind = task.regression() ? Task::kRegression : Task::kSingleLabel;
  if (config.task != kind) {
    return absl::InvalidArgumentError(absl::StrCat(
        folder, "/config.json: expected 'problem_type' ",
        task.regression() ? "regression" : "single_label_classification",
        " for task ", task.name, ", found another"));
  }
  TaskSpec as_the_model = task;
  if (HasNamedLabels(config)) OrderLabels(config.labels, as_the_model);
  if (as_the_model.labels == task.labels) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(folder, "/config.json: expected the labels in the order ",
                   absl::StrJoin(task.label_names, ", "), "; found ",
                   absl::StrJoin(config.labels, ", ")));
}

std::string DescribeAugmentation(const CommandOptions& options) {
  const AugmentationOptions& a = options.augmentation;
  return absl::StrFormat(
      "--augment=%d --augment-model=%s --augment-probability=%g "
      "--augment-candidates=%d",
      a.copies, options.augmentation_model, a.probability, a.candidates);
}

absl::StatusOr<TaskData> ReadDevData(const CommandOptions& options,
                                     const std::string& folder,
                                     const BertConfig& config) {
  return ReadTaskData(options.dev_path, options.dev_examples, options, folder,
                      config);
}

absl::StatusOr<TrainingData> ReadTrainingData(const CommandOptions& options,
                                              const std::string& folder) {
  TrainingData data;
  absl::StatusOr<BertConfig> config = LoadConfig(folder);
  if (!config.ok()) return config.status();
  data.config = *std::move(config);
  absl::Status status = CheckHead(data.config, folder, options.task);
  if (!status.ok()) return status;
  absl::StatusOr<TaskData> train = ReadTaskData(
      options.train_path, /*examples=*/0, options, folder, data.config);
  if (!train.ok()) return train.status();
  data.train = std::move(train->tokens);
  if (options.augmentation.copies > 0) {
    absl::StatusOr<TokenizedDataset> copies =
        ReadCopies(options, folder, data.config);
    if (!copies.ok()) return copies.status();
    std::move(copies->sequences.begin(), copies->sequences.end(),
              std::back_inserter(data.train.sequences));
  }
  absl::StatusOr<TaskData> dev = ReadDevData(options, folder, data.config);
  if (!dev.ok()) return dev.status();
  data.dev = *std::move(dev);
  return data;
}

absl::StatusOr<Scores> ScoreLogits(const Logits& logits, const TaskData& data,
                                   const CommandOptions& options) {
  if (!data.questions) return Score(logits, data.tokens, options.task);
  return ScorePredictions(
      PredictAnswers(logits, *data.questions, options.answers),
      data.questions->set);
}

}  // namespace tern

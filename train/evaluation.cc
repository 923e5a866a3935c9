#include "train/evaluation.h"

#include <algorithm>

#include "tokenizer/answer.h"
#include "train/batches.h"

namespace tern {
namespace {

// Puts the logits of a batch where their sequences stand in the dataset.
void Scatter(const float* logits, const std::vector<int>& indices,
             Logits& all) {
  for (int index : indices) {
    const int64_t count = all.starts[index + 1] - all.starts[index];
    std::copy_n(logits, count, all.values.begin() + all.starts[index]);
    logits += count;
  }
}

Logits EmptyLogits(const BertConfig& config, const TokenizedDataset& dataset) {
  Logits logits;
  logits.outputs = config.outputs();
  for (const Sequence& sequence : dataset.sequences) {
    const size_t rows =
        config.task == Task::kQuestionAnswering ? sequence.ids.size() : 1;
    logits.starts.push_back(logits.starts.back() +
                            static_cast<int64_t>(rows * logits.outputs));
  }
  logits.values.resize(logits.starts.back());
  return logits;
}

int LongestOf(const TokenizedDataset& dataset) {
  size_t longest = 0;
  for (const Sequence& sequence : dataset.sequences) {
    longest = std::max(longest, sequence.ids.size());
  }
  return static_cast<int>(longest);
}

}  // namespace

absl::StatusOr<Logits> LogitsOf(const BertModule& module,
                                const TokenizedDataset& dataset, int batch_size,
                                EvaluationProgress progress) {
  const torch::NoGradGuard no_grad;
  Logits logits = EmptyLogits(module.config(), dataset);
  int64_t done = 0;
  for (const std::vector<int>& indices :
       PlanByLength(dataset.sequences, batch_size)) {
    const TokenBatch batch =
        MakeTokenBatch(dataset.sequences, indices, module.config().task);
    const torch::Tensor output = module.Forward(batch, {}).logits.contiguous();
    Scatter(output.data_ptr<float>(), indices, logits);
    done += static_cast<int64_t>(indices.size());
    if (!progress(done)) return absl::CancelledError("the evaluation stopped");
  }
  return logits;
}

absl::StatusOr<Logits> LogitsOf(const Engine& engine,
                                const TokenizedDataset& dataset, int batch_size,
                                int threads, EvaluationProgress progress) {
  Logits logits = EmptyLogits(engine.config(), dataset);
  Workspace workspace(batch_size * LongestOf(dataset), threads);
  workspace.Reserve(engine.config());
  ThreadTeam team(threads);
  team.Assemble(threads);
  Batch batch;
  int64_t done = 0;
  for (const std::vector<int>& indices :
       PlanByLength(dataset.sequences, batch_size)) {
    batch.Clear();
    for (int index : indices) {
      const Sequence& sequence = dataset.sequences[index];
      batch.Add(sequence.ids, sequence.type_ids);
    }
    const absl::StatusOr<absl::Span<const float>> output =
        engine.Forward(batch, workspace, team, [] { return false; });
    if (!output.ok()) return output.status();
    Scatter(output->data(), indices, logits);
    done += static_cast<int64_t>(indices.size());
    if (!progress(done)) return absl::CancelledError("the evaluation stopped");
  }
  return logits;
}

Scores Score(const Logits& logits, const TokenizedDataset& dataset,
             const TaskSpec& task) {
  std::vector<float> predicted, truth;
  for (size_t i = 0; i < dataset.sequences.size(); ++i) {
    const absl::Span<const float> row = logits.Of(static_cast<int>(i));
    predicted.push_back(
        task.regression()
            ? row[0]
            : static_cast<float>(std::max_element(row.begin(), row.end()) -
                                 row.begin()));
    truth.push_back(dataset.sequences[i].label);
  }
  Scores scores;
  for (Metric metric : task.metrics) {
    const double value = ComputeMetric(metric, predicted, truth);
    scores.metrics[std::string(MetricName(metric))] = value;
    scores.mean += value / task.metrics.size();
  }
  return scores;
}

Predictions PredictAnswers(const Logits& logits, const QuestionWindows& windows,
                           const AnswerOptions& options) {
  Predictions predictions;
  const int count = static_cast<int>(windows.encodings.size());
  for (int w = 0; w < count;) {
    const Question& question =
        windows.set.questions[windows.question_indices[w]];
    const std::string& context = windows.set.contexts[question.context];
    std::vector<AnswerWindow> of_question;
    const int first = w;
    for (; w < count &&
           windows.question_indices[w] == windows.question_indices[first];
         ++w) {
      of_question.push_back({&windows.encodings[w], logits.Of(w)});
    }
    const RankedAnswers ranked =
        RankAnswers(of_question, /*n_best=*/1, options.max_answer_tokens);
    std::string& answer = predictions[question.id];
    if (ranked.best.empty()) continue;
    const ScoredSpan& best = ranked.best[0];
    const bool none =
        windows.set.may_be_impossible &&
        ranked.no_answer_logit - best.logit > options.no_answer_threshold;
    if (none) continue;
    answer =
        context.substr(best.bytes.begin, best.bytes.end - best.bytes.begin);
  }
  return predictions;
}

}  // namespace tern

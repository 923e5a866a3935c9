#include "train/evaluation.h"

#include <algorithm>

#include "train/batches.h"

namespace tern {
namespace {

// Puts the logits of a batch where their sequences stand in the dataset.
void Scatter(const float* logits, const std::vector<int>& indices,
             Logits& all) {
  for (size_t i = 0; i < indices.size(); ++i) {
    std::copy_n(
        logits + i * all.outputs, all.outputs,
        all.values.begin() + static_cast<size_t>(indices[i]) * all.outputs);
  }
}

Logits EmptyLogits(const BertConfig& config, const TokenizedDataset& dataset) {
  Logits logits;
  logits.outputs = config.outputs();
  logits.values.resize(dataset.sequences.size() * logits.outputs);
  return logits;
}

}  // namespace

Logits LogitsOf(const BertModule& module, const TokenizedDataset& dataset,
                int batch_size) {
  const torch::NoGradGuard no_grad;
  Logits logits = EmptyLogits(module.config(), dataset);
  for (const std::vector<int>& indices :
       PlanByLength(dataset.sequences, batch_size)) {
    const TokenBatch batch = MakeTokenBatch(
        dataset.sequences, indices, module.config().task == Task::kRegression);
    const torch::Tensor output = module.Forward(batch, {}).logits.contiguous();
    Scatter(output.data_ptr<float>(), indices, logits);
  }
  return logits;
}

absl::StatusOr<Logits> LogitsOf(const Engine& engine,
                                const TokenizedDataset& dataset, int batch_size,
                                int threads) {
  Logits logits = EmptyLogits(engine.config(), dataset);
  Workspace workspace(batch_size * engine.config().max_positions, threads);
  workspace.Reserve(engine.config());
  ThreadTeam team(threads);
  team.Assemble(threads);
  Batch batch;
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
  }
  return logits;
}

Scores Score(const Logits& logits, const TokenizedDataset& dataset,
             const TaskSpec& task) {
  std::vector<float> predicted, truth;
  for (size_t i = 0; i < dataset.sequences.size(); ++i) {
    const auto row = logits.values.begin() + i * logits.outputs;
    predicted.push_back(
        task.regression()
            ? *row
            : static_cast<float>(std::max_element(row, row + logits.outputs) -
                                 row));
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

}  // namespace tern

#include "train/commands.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <utility>

#include "ATen/ATen.h"
#include "ATen/Parallel.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "nlohmann/json.hpp"
#include "tokenizer/tokenizer.h"
#include "train/evaluation.h"

namespace tern {
namespace {

std::string WeightsFile(const std::string& folder) {
  return folder + "/model.safetensors";
}

absl::StatusOr<TokenizedDataset> ReadTokens(const std::string& path,
                                            const TaskSpec& task,
                                            const std::string& folder,
                                            int max_tokens) {
  const absl::StatusOr<std::unique_ptr<Tokenizer>> tokenizer =
      Tokenizer::Load(folder);
  if (!tokenizer.ok()) return tokenizer.status();
  const absl::StatusOr<Dataset> dataset = ReadDataset(path, task);
  if (!dataset.ok()) return dataset.status();
  return Tokenize(*dataset, **tokenizer, max_tokens);
}

// What both kinds of training work on.
struct TrainingData {
  BertConfig config;
  TokenizedDataset train;
  TokenizedDataset dev;
};

absl::StatusOr<TrainingData> ReadTrainingData(const CommandOptions& options,
                                              const std::string& folder) {
  TrainingData data;
  absl::StatusOr<BertConfig> config = LoadConfig(folder);
  if (!config.ok()) return config.status();
  data.config = *std::move(config);
  const size_t outputs =
      options.task.regression() ? 1 : options.task.labels.size();
  if (data.config.outputs() != static_cast<int>(outputs)) {
    return absl::InvalidArgumentError(absl::StrCat(
        folder, ": expected a model of ", outputs, " outputs for task ",
        options.task.name, ", found ", data.config.outputs()));
  }
  const int max_tokens =
      std::min(options.max_tokens, data.config.max_positions);
  absl::StatusOr<TokenizedDataset> train =
      ReadTokens(options.train_path, options.task, folder, max_tokens);
  if (!train.ok()) return train.status();
  data.train = *std::move(train);
  absl::StatusOr<TokenizedDataset> dev =
      ReadTokens(options.dev_path, options.task, folder, max_tokens);
  if (!dev.ok()) return dev.status();
  data.dev = *std::move(dev);
  return data;
}

// All that determines a run's result, in words.
std::string Describe(const CommandOptions& options) {
  const TrainerOptions& t = options.trainer;
  std::string text = absl::StrFormat(
      "%s --task=%s --epochs=%d --batch=%d --accumulate=%d "
      "--learning-rate=%g --warmup=%g --weight-decay=%g --clip=%g "
      "--dropout=%g --seed=%d --max-tokens=%d --evaluations=%d --compute=%s",
      options.command, options.task.name, t.epochs, t.batch_size, t.accumulate,
      t.learning_rate, t.warmup, t.adamw.weight_decay,
      t.adamw.max_gradient_norm, options.dropout, t.seed, options.max_tokens,
      t.evaluations_per_epoch,
      options.product_type == torch::kBFloat16 ? "bf16" : "f32");
  if (options.command == "ternarize") {
    absl::StrAppendFormat(
        &text,
        " --ternarizer=%s --distill-predictions=%d --distill-hidden=%d "
        "--distill-attention=%d",
        options.ternarizer == Ternarizer::kTwn ? "twn" : "lat",
        options.terms.predictions, options.terms.hidden,
        options.terms.attention);
  }
  return text;
}

absl::Status MakeFolder(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (!error) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat("create ", path, ": ", error.message()));
}

// Trains and prints the result.
absl::Status RunJob(TrainingJob job, const CommandOptions& options,
                    const TrainingData& data) {
  job.title = options.command;
  job.description = Describe(options);
  job.train = &data.train;
  job.dev = &data.dev;
  job.task = options.task;
  job.folder.path = options.out;
  const absl::StatusOr<TrainingResult> result = Train(job, options.trainer);
  if (!result.ok()) return result.status();
  const nlohmann::json line = {{"model", job.folder.model()},
                               {"best_score", result->best_score},
                               {"best_step", result->best_step},
                               {"steps", result->steps}};
  std::printf("%s\n", line.dump().c_str());
  return absl::OkStatus();
}

absl::StatusOr<Logits> EvaluateByTrainer(const CommandOptions& options,
                                         const BertConfig& config,
                                         const TokenizedDataset& dev) {
  BertOptions bert;
  bert.arithmetic = options.latent || config.ternary ? Arithmetic::kTernary
                                                     : Arithmetic::kFloat;
  bert.ternarizer = options.ternarizer;
  bert.product_type = options.product_type;
  const absl::StatusOr<BertModule> module =
      BertModule::Load(config, WeightsFile(options.from), bert, /*seed=*/0);
  if (!module.ok()) return module.status();
  return LogitsOf(*module, dev, options.trainer.batch_size);
}

absl::StatusOr<Logits> EvaluateByEngine(const CommandOptions& options,
                                        const TokenizedDataset& dev) {
  EngineOptions engine_options;
  engine_options.precision = options.precision;
  const absl::StatusOr<std::unique_ptr<Engine>> engine =
      Engine::Load(options.from, engine_options);
  if (!engine.ok()) return engine.status();
  return LogitsOf(**engine, dev, options.trainer.batch_size, options.threads);
}

absl::Status WriteLogits(const Logits& logits, const std::string& path) {
  std::ofstream file(path);
  for (size_t i = 0; i < logits.values.size(); ++i) {
    const bool last = (i + 1) % logits.outputs == 0;
    file << absl::StrFormat("%.9g", logits.values[i]) << (last ? '\n' : '\t');
  }
  if (file.flush()) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat(path, ": cannot be written"));
}

}  // namespace

absl::Status Finetune(const CommandOptions& options) {
  const RunFolder folder{options.out};
  absl::Status status =
      MakeClassifierBase(options.from, options.task, folder.base());
  if (!status.ok()) return status;
  const absl::StatusOr<TrainingData> data =
      ReadTrainingData(options, folder.base());
  if (!data.ok()) return data.status();

  BertOptions bert;
  bert.product_type = options.product_type;
  absl::StatusOr<BertModule> model = BertModule::Load(
      data->config, WeightsFile(options.from), bert, options.trainer.seed);
  if (!model.ok()) return model.status();

  TrainingJob job;
  job.module = &*model;
  job.loss = [&](const TokenBatch& batch) {
    ForwardOptions forward;
    forward.dropout = options.dropout;
    return LabelLoss(model->Forward(batch, forward), batch,
                     options.task.regression());
  };
  job.save_best = [&] {
    return WriteFloatFolder(*model, folder.base(), folder.model());
  };
  return RunJob(std::move(job), options, *data);
}

absl::Status TernarizeByDistillation(const CommandOptions& options) {
  const RunFolder folder{options.out};
  absl::Status status = MakeFolder(options.out);
  if (!status.ok()) return status;
  const absl::StatusOr<TrainingData> data =
      ReadTrainingData(options, options.from);
  if (!data.ok()) return data.status();

  BertOptions bert;
  bert.product_type = options.product_type;
  const absl::StatusOr<BertModule> teacher = BertModule::Load(
      data->config, WeightsFile(options.from), bert, options.trainer.seed);
  if (!teacher.ok()) return teacher.status();
  bert.arithmetic = Arithmetic::kTernary;
  bert.ternarizer = options.ternarizer;
  absl::StatusOr<BertModule> student = BertModule::Load(
      data->config, WeightsFile(options.from), bert, options.trainer.seed);
  if (!student.ok()) return student.status();

  TrainingJob job;
  job.module = &*student;
  job.loss = [&](const TokenBatch& batch) {
    ForwardOptions forward;
    forward.keep_internals = true;
    BertOutput target;
    {
      const torch::NoGradGuard no_grad;
      target = teacher->Forward(batch, forward);
    }
    forward.dropout = options.dropout;
    return DistillationLoss(student->Forward(batch, forward), target, batch,
                            options.terms, options.task.regression());
  };
  job.save_best = [&] {
    absl::Status written =
        WriteFloatFolder(*student, options.from, folder.latent());
    if (!written.ok()) return written;
    return WriteTernaryFolder(*student, options.from, folder.model());
  };
  return RunJob(std::move(job), options, *data);
}

absl::Status Evaluate(const CommandOptions& options) {
  const absl::StatusOr<BertConfig> config = LoadConfig(options.from);
  if (!config.ok()) return config.status();
  const absl::StatusOr<TokenizedDataset> dev =
      ReadTokens(options.dev_path, options.task, options.from,
                 std::min(options.max_tokens, config->max_positions));
  if (!dev.ok()) return dev.status();
  const bool by_trainer = options.precision == "trainer";
  const absl::StatusOr<Logits> logits =
      by_trainer ? EvaluateByTrainer(options, *config, *dev)
                 : EvaluateByEngine(options, *dev);
  if (!logits.ok()) return logits.status();
  if (!options.logits_path.empty()) {
    absl::Status status = WriteLogits(*logits, options.logits_path);
    if (!status.ok()) return status;
  }
  const Scores scores = Score(*logits, *dev, options.task);
  const nlohmann::json line = {{"model", options.from},
                               {"task", options.task.name},
                               {"examples", dev->sequences.size()},
                               {"metrics", scores.metrics}};
  std::printf("%s\n", line.dump().c_str());
  return absl::OkStatus();
}

}  // namespace tern

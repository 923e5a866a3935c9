#include "train/commands.h"

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <utility>

#include "ATen/ATen.h"
#include "ATen/Parallel.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "nlohmann/json.hpp"
#include "train/batches.h"
#include "train/calibration.h"
#include "train/checkpoint.h"
#include "train/evaluation.h"
#include "train/fingerprint.h"
#include "train/latent_weights.h"
#include "train/progress_bar.h"
#include "train/run_folder.h"
#include "train/squad.h"
#include "train/squad_metric.h"
#include "train/task_data.h"

namespace tern {
namespace {

// The flags that determine a run's result, in words.
std::string Describe(const CommandOptions& options) {
  const TrainerOptions& t = options.trainer;
  std::string text = absl::StrFormat(
      "%s --task=%s --epochs=%d --batch=%d --accumulate=%d "
      "--learning-rate=%g --warmup=%g --weight-decay=%g --clip=%g "
      "--dropout=%g --seed=%d --max-tokens=%d --evaluations=%d --compute=%s",
      options.command, options.task.name, t.epochs, t.batch_size, t.accumulate,
      t.learning_rate, t.warmup, t.adamw.weight_decay,
      t.adamw.max_gradient_norm, options.dropout, t.seed,
      options.windows.max_tokens, t.evaluations_per_epoch,
      options.product_type == torch::kBFloat16 ? "bf16" : "f32");
  if (options.task.question_answering) {
    absl::StrAppendFormat(
        &text,
        " --doc-stride=%d --max-answer-tokens=%d --no-answer-threshold=%g",
        options.windows.doc_stride, options.answers.max_answer_tokens,
        options.answers.no_answer_threshold);
  }
  if (options.dev_examples > 0) {
    absl::StrAppendFormat(&text, " --dev-examples=%d", options.dev_examples);
  }
  if (options.command == "ternarize") {
    absl::StrAppendFormat(
        &text,
        " --ternarizer=%s --distill-predictions=%d --distill-hidden=%d "
        "--distill-attention=%d",
        Name(options.quantization.weights), options.terms.predictions,
        options.terms.hidden, options.terms.attention);
  }
  // Only where they were asked for.
  if (!options.teacher.empty()) {
    absl::StrAppend(&text, " --teacher=", options.teacher);
  }
  if (!options.student.empty()) {
    absl::StrAppend(&text, " --student=", options.student);
  }
  if (options.calibrate > 0) {
    absl::StrAppend(&text, " --calibrate=", options.calibrate);
  }
  if (t.average_decay > 0) {
    absl::StrAppendFormat(&text, " --average=%g", t.average_decay);
  }
  if (options.augmentation.copies > 0) {
    absl::StrAppend(&text, " ", DescribeAugmentation(options));
  }
  if (options.quantization.activations != ActivationScheme::kPerToken) {
    absl::StrAppend(&text,
                    " --activations=", Name(options.quantization.activations));
  }
  if (!options.quantization.embedding_scale_per_row) {
    absl::StrAppend(&text, " --noembedding-scale-per-row");
  }
  return text;
}

// Trains, by a teacher if there is one, and prints the result.
absl::Status RunJob(TrainingJob job, const CommandOptions& options,
                    const TrainingData& data, const BertModule* teacher) {
  job.title = options.command;
  const bool served =
      options.command == "finetune" || options.quantization.servable();
  job.train = &data.train;
  job.dev = &data.dev.tokens;
  job.description =
      absl::StrCat(Describe(options), "; contents: train ",
                   Fingerprint(*job.train), ", dev ", Fingerprint(*job.dev));
  if (teacher != nullptr) {
    absl::StrAppend(&job.description, ", teacher ",
                    Fingerprint(teacher->parameters()));
  }
  if (data.dev.questions) {
    absl::StrAppend(&job.description, ", dev answers ",
                    Fingerprint(data.dev.questions->set));
  }
  job.score = [&](const Logits& logits) {
    return ScoreLogits(logits, data.dev, options);
  };
  job.folder.path = options.out;
  const absl::StatusOr<TrainingResult> result = Train(job, options.trainer);
  if (!result.ok()) return result.status();
  if (!served) {
    std::fprintf(stderr,
                 "tern-train: a ternary folder holds no such weights and "
                 "activations, so there is only %s, for evaluate "
                 "--precision=trainer --latent with the same --weights and "
                 "--activations\n",
                 job.folder.latent().c_str());
  }
  const nlohmann::json line = {
      {"model", served ? job.folder.model() : job.folder.latent()},
      {"best_score", result->best_score},
      {"best_step", result->best_step},
      {"steps", result->steps}};
  std::printf("%s\n", line.dump().c_str());
  return absl::OkStatus();
}

// The model whose predictions a fine-tuned one in `folder` learns.
absl::StatusOr<BertModule> LoadTeacher(const CommandOptions& options,
                                       const std::string& folder,
                                       const BertConfig& learner) {
  const absl::StatusOr<BertConfig> config = LoadConfig(options.teacher);
  if (!config.ok()) return config.status();
  absl::Status status = CheckHead(*config, options.teacher, options.task);
  status.Update(CheckSameVocabulary(folder, options.teacher));
  if (!status.ok()) return status;
  const int longest =
      std::min(options.windows.max_tokens, learner.max_positions);
  if (config->max_positions < longest) {
    return absl::InvalidArgumentError(absl::StrCat(
        options.teacher, ": expected a teacher of ", longest,
        " positions at least (--max-tokens), found ", config->max_positions));
  }
  BertOptions bert;
  if (config->ternary) bert.quantization = Quantization{};
  bert.round_positions = false;
  bert.product_type = options.product_type;
  absl::StatusOr<BertModule> teacher = BertModule::Load(
      *config, WeightsFile(options.teacher), bert, options.trainer.seed);
  if (teacher.ok()) teacher->Freeze();
  return teacher;
}

// The sizes that a student and its teacher share.
std::string Shape(const BertConfig& config) {
  return absl::StrFormat(
      "%d layers, hidden %d, %d heads, intermediate %d, vocabulary %d, %d "
      "positions, %d token types",
      config.layers, config.hidden_size, config.heads, config.intermediate_size,
      config.vocabulary_size, config.max_positions,
      config.type_vocabulary_size);
}

// The student of a teacher, as --student or the teacher has its weights.
absl::StatusOr<BertModule> LoadStudent(const CommandOptions& options,
                                       const BertModule& teacher) {
  const bool from_checkpoint =
      std::filesystem::is_regular_file(options.student);
  const std::string& folder = options.student.empty() || from_checkpoint
                                  ? options.from
                                  : options.student;
  const absl::StatusOr<BertConfig> config = LoadConfig(folder);
  if (!config.ok()) return config.status();
  absl::Status status = CheckHead(*config, folder, options.task);
  if (!status.ok()) return status;
  const std::string shape = Shape(*config), expected = Shape(teacher.config());
  if (shape != expected) {
    return absl::InvalidArgumentError(
        absl::StrCat(folder, ": expected a student of its teacher's shape, ",
                     expected, "; found ", shape));
  }
  status = CheckSameVocabulary(options.from, folder);
  if (!status.ok()) return status;
  BertOptions bert;
  bert.product_type = options.product_type;
  bert.quantization = options.quantization;
  absl::StatusOr<BertModule> student = BertModule::Load(
      *config, WeightsFile(folder), bert, options.trainer.seed);
  if (!student.ok()) return student;
  if (from_checkpoint) {
    status = LoadCheckpointWeights(options.student, student->parameters());
    if (!status.ok()) return status;
    student->RefreshQuantizedWeights(/*draw=*/0);
  } else if (config->ternary) {
    RecoverLatentWeights(teacher, *student);
  }
  return student;
}

// By --calibrate training texts, drawn by the seed, in another order than any
// epoch's: a training that begins with the texts of its calibration, which the
// student fits best, has a loss that rises when they are through.
void CalibrateStudent(const CommandOptions& options, const TrainingData& data,
                      const BertModule& teacher, BertModule& student) {
  const std::vector<Sequence>& sequences = data.train.sequences;
  std::vector<TokenBatch> texts;
  int count = 0;
  for (std::vector<int>& indices :
       PlanEpoch(sequences, options.trainer.batch_size, options.trainer.seed,
                 /*epoch=*/-1)) {
    const int left = options.calibrate - count;
    if (left == 0) break;
    if (static_cast<int>(indices.size()) > left) indices.resize(left);
    texts.push_back(MakeTokenBatch(sequences, indices, teacher.config().task));
    count += static_cast<int>(indices.size());
  }
  ProgressBar bar("calibrate", "layers", 0, teacher.config().layers);
  Calibrate(teacher, texts, student, [&](int layers) { bar.Show(layers, ""); });
}

absl::StatusOr<Logits> EvaluateByTrainer(const CommandOptions& options,
                                         const BertConfig& config,
                                         const TokenizedDataset& dev,
                                         EvaluationProgress progress) {
  BertOptions bert;
  if (options.latent) {
    bert.quantization = options.quantization;
  } else if (config.ternary) {
    bert.quantization = Quantization{};  // TWN of scale * T is scale and T
    bert.round_positions = false;
  }
  bert.product_type = options.product_type;
  const absl::StatusOr<BertModule> module = BertModule::Load(
      config, WeightsFile(options.from), bert, options.trainer.seed);
  if (!module.ok()) return module.status();
  return LogitsOf(*module, dev, options.trainer.batch_size, progress);
}

absl::StatusOr<Logits> EvaluateByEngine(const CommandOptions& options,
                                        const TokenizedDataset& dev,
                                        EvaluationProgress progress) {
  EngineOptions engine_options;
  engine_options.precision = options.precision;
  const absl::StatusOr<std::unique_ptr<Engine>> engine =
      Engine::Load(options.from, engine_options);
  if (!engine.ok()) return engine.status();
  return LogitsOf(**engine, dev, options.trainer.batch_size, options.threads,
                  progress);
}

absl::StatusOr<Logits> DevLogits(const CommandOptions& options,
                                 const BertConfig& config,
                                 const TaskData& dev) {
  ProgressBar bar(options.command, dev.questions ? "windows" : "texts", 0,
                  static_cast<int64_t>(dev.tokens.sequences.size()));
  const auto show = [&bar](int64_t done) {
    bar.Show(done, "");
    return true;
  };
  return options.precision == "trainer"
             ? EvaluateByTrainer(options, config, dev.tokens, show)
             : EvaluateByEngine(options, dev.tokens, show);
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
  const absl::StatusOr<RunLock> lock = OpenRun(folder, options.trainer.resume);
  if (!lock.ok()) return lock.status();
  absl::Status status = MakeBase(options.from, options.task, folder.base());
  if (!status.ok()) return status;
  const absl::StatusOr<TrainingData> data =
      ReadTrainingData(options, folder.base());
  if (!data.ok()) return data.status();

  BertOptions bert;
  bert.product_type = options.product_type;
  bert.new_head = true;
  absl::StatusOr<BertModule> model = BertModule::Load(
      data->config, WeightsFile(options.from), bert, options.trainer.seed);
  if (!model.ok()) return model.status();

  std::optional<BertModule> teacher;
  if (!options.teacher.empty()) {
    absl::StatusOr<BertModule> loaded =
        LoadTeacher(options, folder.base(), data->config);
    if (!loaded.ok()) return loaded.status();
    teacher = *std::move(loaded);
  }

  TrainingJob job;
  job.module = &*model;
  job.loss = [&](const TokenBatch& batch) {
    ForwardOptions forward;
    forward.dropout = options.dropout;
    const Task task = model->config().task;
    if (!teacher) return LabelLoss(model->Forward(batch, forward), batch, task);
    BertOutput target;
    {
      const torch::NoGradGuard no_grad;
      target = teacher->Forward(batch, {});
    }
    return PredictionLoss(model->Forward(batch, forward), target, batch, task);
  };
  job.save_best = [&] {
    return WriteFloatFolder(*model, folder.base(), folder.model());
  };
  return RunJob(std::move(job), options, *data, teacher ? &*teacher : nullptr);
}

absl::Status TernarizeByDistillation(const CommandOptions& options) {
  const RunFolder folder{options.out};
  const absl::StatusOr<RunLock> lock = OpenRun(folder, options.trainer.resume);
  if (!lock.ok()) return lock.status();
  const absl::StatusOr<TrainingData> data =
      ReadTrainingData(options, options.from);
  if (!data.ok()) return data.status();

  BertOptions bert;
  bert.product_type = options.product_type;
  absl::StatusOr<BertModule> teacher = BertModule::Load(
      data->config, WeightsFile(options.from), bert, options.trainer.seed);
  if (!teacher.ok()) return teacher.status();
  teacher->Freeze();
  absl::StatusOr<BertModule> student = LoadStudent(options, *teacher);
  if (!student.ok()) return student.status();
  // What is resumed has its weights in the checkpoint.
  if (options.calibrate > 0 && !options.trainer.resume) {
    CalibrateStudent(options, *data, *teacher, *student);
  }

  TrainingJob job;
  job.module = &*student;
  job.save_start = options.calibrate > 0;
  job.loss = [&](const TokenBatch& batch) {
    ForwardOptions forward;
    forward.dropout = options.dropout;
    if (!options.terms.any()) {
      return LabelLoss(student->Forward(batch, forward), batch,
                       student->config().task);
    }
    forward.keep_internals = true;
    forward.dropout = 0;
    BertOutput target;
    {
      const torch::NoGradGuard no_grad;
      target = teacher->Forward(batch, forward);
    }
    forward.dropout = options.dropout;
    return DistillationLoss(student->Forward(batch, forward), target, batch,
                            options.terms, student->config().task);
  };
  job.save_best = [&] {
    absl::Status written =
        WriteFloatFolder(*student, options.from, folder.latent());
    if (!written.ok() || !options.quantization.servable()) return written;
    return WriteTernaryFolder(*student, options.from, folder.model());
  };
  return RunJob(std::move(job), options, *data, &*teacher);
}

absl::Status Evaluate(const CommandOptions& options) {
  const absl::StatusOr<BertConfig> config = LoadConfig(options.from);
  if (!config.ok()) return config.status();
  absl::Status status = CheckHead(*config, options.from, options.task);
  if (!status.ok()) return status;
  const absl::StatusOr<TaskData> dev =
      ReadDevData(options, options.from, *config);
  if (!dev.ok()) return dev.status();
  const absl::StatusOr<Logits> logits = DevLogits(options, *config, *dev);
  if (!logits.ok()) return logits.status();
  const absl::StatusOr<Scores> scores = ScoreLogits(*logits, *dev, options);
  if (!scores.ok()) return scores.status();
  const size_t examples = dev->questions ? dev->questions->set.questions.size()
                                         : dev->tokens.sequences.size();
  const nlohmann::json line = {{"model", options.from},
                               {"task", options.task.name},
                               {"examples", examples},
                               {"metrics", scores->metrics}};
  std::printf("%s\n", line.dump().c_str());
  if (!options.logits_path.empty()) {
    status.Update(WriteLogits(*logits, options.logits_path));
  }
  if (dev->questions && !options.predictions_path.empty()) {
    status.Update(WritePredictions(
        PredictAnswers(*logits, *dev->questions, options.answers),
        options.predictions_path));
  }
  return status;
}

absl::Status ScoreAnswers(const CommandOptions& options) {
  absl::StatusOr<QuestionSet> set = ReadSquad(options.dev_path);
  if (!set.ok()) return set.status();
  const size_t limit = options.dev_examples;
  if (limit > 0 && set->questions.size() > limit) set->questions.resize(limit);
  const absl::StatusOr<Predictions> predictions =
      ReadPredictions(options.predictions_path);
  if (!predictions.ok()) return predictions.status();
  const absl::StatusOr<Scores> scores = ScorePredictions(*predictions, *set);
  if (!scores.ok()) return scores.status();
  const nlohmann::json line = {{"predictions", options.predictions_path},
                               {"task", options.task.name},
                               {"examples", set->questions.size()},
                               {"metrics", scores->metrics}};
  std::printf("%s\n", line.dump().c_str());
  return absl::OkStatus();
}

}  // namespace tern

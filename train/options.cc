#include "train/options.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "flags/effective_cores.h"
#include "flags/program_flags.h"
#include "model/config.h"
#include "train/dataset.h"
#include "train/matrix_product.h"
#include "train/run_folder.h"

ABSL_FLAG(std::string, from, "",
          "finetune: pretrained folder; ternarize: fine-tuned teacher folder; "
          "evaluate: any model folder");
ABSL_FLAG(std::string, out, "", "folder of the run; made where it is missing");
ABSL_FLAG(std::string, teacher, "",
          "finetune: folder of a fine-tuned model of the same vocabulary and "
          "any size, whose predictions are learnt instead of the labels");
ABSL_FLAG(std::string, student, "",
          "ternarize: what to start from: a folder of latent weights, such as "
          "OUT/latent of an earlier run (its best), OUT/checkpoint.safetensors "
          "of one (its end), or a ternary folder; default: the teacher's "
          "weights");
ABSL_FLAG(int, calibrate, 0,
          "ternarize: begin with ternary weights that are chosen so that the "
          "layers say what the teacher's do on so many training texts (OPTQ); "
          "0: with the teacher's weights, each made ternary by itself");
ABSL_FLAG(std::string, task, "sst-2",
          "sst-2, cola, mrpc, qqp, sts-b, rte, qnli, mnli, squad, or tsv with "
          "--text-column and --label-column");
ABSL_FLAG(std::string, data, "",
          "folder of the task's train.tsv and dev.tsv; squad: train-v1.1.json "
          "and dev-v1.1.json");
ABSL_FLAG(std::string, train_file, "",
          "training file, if not --data's; squad: or several, separated by "
          "commas, of SQuAD 1.1 or 2.0");
ABSL_FLAG(std::string, dev_file, "", "evaluation file, if not --data's");
ABSL_FLAG(std::string, text_column, "",
          "column of the texts: its name, or its number from 0 with "
          "--noheader");
ABSL_FLAG(std::string, pair_column, "", "column of the second texts, if any");
ABSL_FLAG(std::string, label_column, "", "column of the labels");
ABSL_FLAG(bool, header, true, "the files start with a line of column names");
ABSL_FLAG(bool, regression, false, "task tsv: the labels are numbers");
ABSL_FLAG(int, dev_examples, 0,
          "only so many of the evaluation file, from its beginning; 0: all");
ABSL_FLAG(int, max_tokens, 0,
          "longest sequence, in tokens; longer are cut or, for squad, read in "
          "windows; default 128, for squad 384");
ABSL_FLAG(int, doc_stride, 128, "squad: tokens that windows share");
ABSL_FLAG(int, max_answer_tokens, 30, "squad: longest answer, in tokens");
ABSL_FLAG(double, no_answer_threshold, 0,
          "squad 2.0: by how much the logit of no answer must be above the "
          "best answer's");
ABSL_FLAG(int, augment, 0,
          "rewritten copies of each training example, some of whose words are "
          "replaced by others that fit; kept in OUT/augmented.tsv");
ABSL_FLAG(std::string, augment_model, "",
          "folder of a BERT with its masked-language-model head, which finds "
          "the words");
ABSL_FLAG(double, augment_probability, 0.4, "that a word is replaced");
ABSL_FLAG(int, augment_candidates, 15,
          "the best words for a place, among which one is drawn");
ABSL_FLAG(int, epochs, 3,
          "passes over the training file; ternarize: or 0, to quantize without "
          "training");
ABSL_FLAG(int, batch, 32, "sequences of one pass");
ABSL_FLAG(int, accumulate, 1, "passes of one optimizer step");
ABSL_FLAG(double, learning_rate, 5e-5, "AdamW's peak rate");
ABSL_FLAG(double, warmup, 0.1, "share of the steps over which the rate rises");
ABSL_FLAG(double, weight_decay, 0.01, "AdamW's; not on biases and LayerNorm");
ABSL_FLAG(double, clip, 1.0, "largest norm of the gradients; 0: any");
ABSL_FLAG(double, average, 0,
          "decay of a moving average of the weights, such as 0.999, which is "
          "then evaluated and kept as the best model; 0: none");
ABSL_FLAG(double, dropout, -1,
          "share of units dropped; default 0.1 for finetune, 0 for ternarize");
ABSL_FLAG(uint64_t, seed, 1, "of shuffling, dropout and a new classifier");
ABSL_FLAG(int, evaluations, 1, "evaluations on the dev file per epoch");
ABSL_FLAG(absl::Duration, checkpoint_interval, absl::Minutes(5),
          "time between checkpoints: the most that a crash loses");
ABSL_FLAG(bool, resume, false, "go on from the checkpoint in --out");
ABSL_FLAG(int64_t, stop_after, 0,
          "stop as for SIGTERM after this many steps; 0: never");
ABSL_FLAG(std::string, ternarizer, "", "the same as --weights");
ABSL_FLAG(std::string, weights, "twn",
          "twn or lat; to compare with, and not to be served: stochastic, "
          "binary, int8, group2bit or none");
ABSL_FLAG(std::string, activations, "per-token",
          "per-token; to compare with, and not to be served: per-tensor, "
          "per-tensor-symmetric or none");
ABSL_FLAG(bool, embedding_scale_per_row, true,
          "each word embedding has its own scale; else, not to be served, all "
          "share one");
ABSL_FLAG(
    bool, distill_predictions, true,
    "ternarize: soft cross-entropy with the teacher's predictions; without "
    "this and the next two, cross-entropy with the labels");
ABSL_FLAG(bool, distill_hidden, true,
          "ternarize: squared error of the hidden states");
ABSL_FLAG(bool, distill_attention, true,
          "ternarize: squared error of the attention scores");
ABSL_FLAG(std::string, compute, "auto",
          "products in f32 or bf16; auto: the faster of the two on this CPU");
ABSL_FLAG(int, threads, 0,
          "threads; 0: one for each core that the process may use");
ABSL_FLAG(std::string, precision, "",
          "evaluate: fp32, int8 or ternary by the serving engine (default: as "
          "the folder is), or trainer for tern-train's own forward pass");
ABSL_FLAG(bool, latent, false,
          "evaluate with --precision=trainer: the folder holds latent weights, "
          "to be quantized as --weights and --activations say");
ABSL_FLAG(bool, plot, false,
          "draw loss and dev metrics against steps into OUT/curves.svg");
ABSL_FLAG(std::string, logits, "",
          "evaluate: write the logits here, tab-separated: a line for each "
          "example, or for each token of squad's windows");
ABSL_FLAG(std::string, predictions, "",
          "squad: file of answers by question id, as the official evaluators "
          "read it; evaluate writes it, score reads it");

namespace tern {
namespace {

constexpr char kUsage[] =
    R"(tern-train: trains BERT classifiers and question answerers and makes them ternary
by distillation.

  tern-train finetune --from=PRETRAINED --task=sst-2 --data=SST-2 --out=TEACHER
      Fine-tunes a Hugging Face BERT in fp32; TEACHER/model is the best on dev.
  tern-train ternarize --from=TEACHER/model --task=sst-2 --data=SST-2 --out=STUDENT
      Trains a ternary student of the teacher; STUDENT/model is served by
      tern-server, STUDENT/latent holds its fp32 weights.
  tern-train evaluate --from=FOLDER --task=sst-2 --data=SST-2
      Prints the task's official metrics on the dev file, as JSON.
  tern-train score --task=squad --dev-file=SQUAD.json --predictions=FILE
      Prints the official metrics of somebody's answers.

Flags may be spelt with - or _. After SIGTERM or a crash, the same command with
--resume goes on. Exit codes: 0 done; 1 failed; 2 bad command line; 3 stopped
by a signal, with a checkpoint.

)";

// The flags above.
ProgramFlags OurFlags() { return ProgramFlags("learning_rate"); }

template <typename T>
absl::Status CheckRange(absl::string_view flag, T value, T low, T high) {
  if (value >= low && value <= high) return absl::OkStatus();
  return BadFlag(flag, absl::StrCat(low, " to ", high), absl::StrCat(value));
}

absl::StatusOr<torch::ScalarType> ParseCompute(const std::string& name) {
  if (name == "f32") return torch::kFloat32;
  if (name == "bf16") {
    if (CpuHasBFloat16Products()) return torch::kBFloat16;
    return absl::FailedPreconditionError(
        "--compute: expected a CPU with AVX512-BF16 or AMX-BF16 for 'bf16', "
        "found neither; 'f32' runs everywhere");
  }
  if (name == "auto") {
    return BFloat16IsFaster() ? torch::kBFloat16 : torch::kFloat32;
  }
  return BadFlag("compute", "f32, bf16 or auto", name);
}

absl::StatusOr<TaskSpec> TsvTask() {
  TaskSpec task;
  task.name = "tsv";
  task.header = absl::GetFlag(FLAGS_header);
  task.text_column = absl::GetFlag(FLAGS_text_column);
  task.pair_column = absl::GetFlag(FLAGS_pair_column);
  task.label_column = absl::GetFlag(FLAGS_label_column);
  if (task.text_column.empty()) return BadFlag("text-column", "a column", "");
  if (task.label_column.empty()) return BadFlag("label-column", "a column", "");
  task.labels_unknown = !absl::GetFlag(FLAGS_regression);
  task.metrics = absl::GetFlag(FLAGS_regression)
                     ? std::vector<Metric>{Metric::kPearson, Metric::kSpearman}
                     : std::vector<Metric>{Metric::kAccuracy};
  return task;
}

absl::Status ReadTask(CommandOptions& options) {
  const std::string name = absl::GetFlag(FLAGS_task);
  absl::StatusOr<TaskSpec> task = name == "tsv" ? TsvTask() : FindTask(name);
  if (absl::IsNotFound(task.status())) {
    return BadFlag(
        "task", absl::StrCat(absl::StrJoin(TaskNames(), ", "), ", tsv"), name);
  }
  if (!task.ok()) return task.status();
  options.task = *std::move(task);
  const std::string data = absl::GetFlag(FLAGS_data);
  options.train_path = absl::GetFlag(FLAGS_train_file);
  if (options.train_path.empty() && !data.empty()) {
    options.train_path = absl::StrCat(data, "/", options.task.train_file);
  }
  options.dev_path = absl::GetFlag(FLAGS_dev_file);
  if (options.dev_path.empty() && !data.empty()) {
    options.dev_path = absl::StrCat(data, "/", options.task.dev_file);
  }
  if (options.dev_path.empty()) {
    return BadFlag("data", "a folder (or --train-file and --dev-file)", "");
  }
  return absl::OkStatus();
}

absl::Status CheckCommand(const std::string& command) {
  const std::vector<std::string> commands = {"finetune", "ternarize",
                                             "evaluate", "score"};
  if (std::find(commands.begin(), commands.end(), command) != commands.end()) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("expected a command (", absl::StrJoin(commands, ", "),
                   "), found '", command, "'; see --help"));
}

// Who looks at flags that not every command and task does. Not listed are those
// that a task's commands are often given alike: data, batches, threads, seed.
struct FlagReaders {
  absl::string_view expected;
  bool (*read)(const CommandOptions&);
  std::vector<absl::string_view> flags;
};

bool Trains(const CommandOptions& options) {
  return options.command == "finetune" || options.command == "ternarize";
}

bool Answers(const CommandOptions& options) {
  return options.task.question_answering && !Trains(options);
}

const std::vector<FlagReaders>& ReadersOfFlags() {
  static const auto* const readers = new std::vector<FlagReaders>{
      {"only with finetune; ternarize takes it as --from",
       [](const CommandOptions& o) { return o.command == "finetune"; },
       {"teacher"}},
      {"only with ternarize",
       [](const CommandOptions& o) { return o.command == "ternarize"; },
       {"calibrate", "distill_attention", "distill_hidden",
        "distill_predictions", "student"}},
      {"only with ternarize, and with evaluate --latent",
       [](const CommandOptions& o) {
         return o.command == "ternarize" || o.latent;
       },
       {"activations", "embedding_scale_per_row", "ternarizer", "weights"}},
      {"only with finetune or ternarize",
       Trains,
       {"accumulate", "augment", "augment_candidates", "augment_model",
        "augment_probability", "average", "checkpoint_interval", "clip",
        "dropout", "epochs", "evaluations", "learning_rate", "out", "plot",
        "resume", "stop_after", "warmup", "weight_decay"}},
      {"only with evaluate",
       [](const CommandOptions& o) { return o.command == "evaluate"; },
       {"latent", "logits", "precision"}},
      {"only with finetune, ternarize or evaluate",
       [](const CommandOptions& o) { return o.command != "score"; },
       {"from"}},
      {"only with --augment",
       [](const CommandOptions& o) { return o.augmentation.copies > 0; },
       {"augment_candidates", "augment_model", "augment_probability"}},
      {"only with finetune, ternarize and evaluate --precision=trainer",
       [](const CommandOptions& o) {
         return Trains(o) || o.precision == "trainer";
       },
       {"compute"}},
      {"only with evaluate or score of squad", Answers, {"predictions"}},
      {"only with task squad",
       [](const CommandOptions& o) { return o.task.question_answering; },
       {"doc_stride"}},
      {"only with task squad, and not with score",
       [](const CommandOptions& o) {
         return o.task.question_answering && o.command != "score";
       },
       {"max_answer_tokens", "no_answer_threshold"}},
      {"only with task tsv",
       [](const CommandOptions& o) { return o.task.name == "tsv"; },
       {"header", "label_column", "pair_column", "regression", "text_column"}},
  };
  return *readers;
}

// No flag of that table may be given where nobody looks at it.
absl::Status CheckUse(const CommandOptions& options, const ParsedFlags& given) {
  for (const auto& [flag, value] : given.flags) {
    for (const FlagReaders& readers : ReadersOfFlags()) {
      const auto& flags = readers.flags;
      if (readers.read(options) ||
          std::find(flags.begin(), flags.end(), flag) == flags.end()) {
        continue;
      }
      return BadFlag(flag, readers.expected, value);
    }
  }
  return absl::OkStatus();
}

// A run replaces what is in its folder, also what it is to learn from.
absl::Status CheckOut(const CommandOptions& options) {
  if (options.out.empty()) return BadFlag("out", "a folder", "");
  const RunFolder run{options.out};
  for (const std::string& source :
       {options.from, options.teacher, options.student}) {
    for (const std::string& target :
         {run.model(), run.latent(), run.checkpoint()}) {
      std::error_code error;  // where one of them is missing
      if (!std::filesystem::equivalent(source, target, error)) continue;
      return BadFlag("out", absl::StrCat("another run than that of ", source),
                     options.out);
    }
  }
  return absl::OkStatus();
}

absl::Status CheckPaths(const CommandOptions& options) {
  if (options.command == "score") {
    if (!options.task.question_answering) {
      return BadFlag("task", "squad for score", options.task.name);
    }
    if (!options.predictions_path.empty()) return absl::OkStatus();
    return BadFlag("predictions", "a file of answers", "");
  }
  if (options.from.empty()) return BadFlag("from", "a model folder", "");
  if (options.command == "evaluate") {
    if (!options.latent || options.precision == "trainer") {
      return absl::OkStatus();
    }
    return BadFlag("precision", "trainer for --latent", options.precision);
  }
  if (options.train_path.empty()) return BadFlag("train-file", "a file", "");
  return CheckOut(options);
}

absl::Status ReadQuantization(const ParsedFlags& given,
                              Quantization& quantization) {
  std::string scheme = absl::GetFlag(FLAGS_weights);
  const std::string ternarizer = absl::GetFlag(FLAGS_ternarizer);
  if (!ternarizer.empty()) {
    for (const auto& [flag, value] : given.flags) {
      if (flag == "weights" && value != ternarizer) {
        return BadFlag("ternarizer", absl::StrCat("--weights again, ", value),
                       ternarizer);
      }
    }
    scheme = ternarizer;
  }
  const auto weights = ParseWeightScheme(scheme);
  if (!weights.ok()) return weights.status();
  const auto activations =
      ParseActivationScheme(absl::GetFlag(FLAGS_activations));
  if (!activations.ok()) return activations.status();
  quantization = {*weights, *activations,
                  absl::GetFlag(FLAGS_embedding_scale_per_row)};
  return absl::OkStatus();
}

absl::Status CheckAugmentation(const CommandOptions& options) {
  const AugmentationOptions& augmentation = options.augmentation;
  absl::Status status = CheckRange("augment", augmentation.copies, 0, 1000);
  if (!status.ok() || augmentation.copies == 0) return status;
  if (options.task.question_answering) {
    return BadFlag("augment",
                   "0 for task squad, whose answers stand in the text",
                   absl::StrCat(augmentation.copies));
  }
  if (options.augmentation_model.empty()) {
    return BadFlag("augment-model", "a folder, for --augment", "");
  }
  status.Update(
      CheckRange("augment-probability", augmentation.probability, 0.0, 1.0));
  status.Update(
      CheckRange("augment-candidates", augmentation.candidates, 1, 1000));
  return status;
}

absl::Status CheckQuantization(const CommandOptions& options) {
  const Quantization& q = options.quantization;
  if (options.latent && q.weights == WeightScheme::kLat) {
    return BadFlag("weights",
                   "others for --latent, since LAT goes by the moments of a "
                   "training",
                   Name(q.weights));
  }
  if (options.command == "ternarize" && options.trainer.epochs == 0 &&
      q.weights == WeightScheme::kLat) {
    return BadFlag(
        "epochs", "1 at least for LAT, which goes by the moments of a training",
        "0");
  }
  return absl::OkStatus();
}

absl::Status CheckCalibration(const CommandOptions& options) {
  absl::Status status = CheckRange("calibrate", options.calibrate, 0, 1 << 20);
  if (!status.ok() || options.calibrate == 0) return status;
  if (!options.student.empty()) {
    return BadFlag("calibrate", "--calibrate or --student, not both",
                   options.student);
  }
  if (!options.quantization.servable() ||
      options.quantization.weights != WeightScheme::kTwn) {
    return BadFlag("calibrate", "--weights=twn and --activations=per-token",
                   absl::StrCat(Name(options.quantization.weights), ", ",
                                Name(options.quantization.activations)));
  }
  return status;
}

absl::Status CheckNumbers(const CommandOptions& options) {
  const TrainerOptions& trainer = options.trainer;
  absl::Status status;
  status.Update(CheckRange("epochs", trainer.epochs,
                           options.command == "ternarize" ? 0 : 1, 1000));
  status.Update(CheckRange("batch", trainer.batch_size, 1, 4096));
  status.Update(CheckRange("accumulate", trainer.accumulate, 1, 4096));
  status.Update(
      CheckRange("max-tokens", options.windows.max_tokens, 3, 1 << 16));
  status.Update(CheckRange("dev-examples", options.dev_examples, 0, 1 << 30));
  if (options.task.question_answering) {
    // A window is [CLS] question [SEP] context [SEP]: a token of the question
    // and one of the context beyond the stride at least.
    status.Update(CheckRange("doc-stride", options.windows.doc_stride, 0,
                             options.windows.max_tokens - 5));
    status.Update(CheckRange("max-answer-tokens",
                             options.answers.max_answer_tokens, 1, 1 << 16));
  }
  status.Update(
      CheckRange("evaluations", trainer.evaluations_per_epoch, 1, 1000));
  status.Update(CheckRange("learning-rate", trainer.learning_rate, 0.0, 1.0));
  status.Update(CheckRange("warmup", trainer.warmup, 0.0, 1.0));
  status.Update(
      CheckRange("weight-decay", trainer.adamw.weight_decay, 0.0, 1.0));
  status.Update(CheckRange("clip", trainer.adamw.max_gradient_norm, 0.0, 1e6));
  status.Update(CheckRange("dropout", options.dropout, 0.0, 0.9));
  status.Update(CheckRange("average", trainer.average_decay, 0.0, 0.999999));
  status.Update(CheckRange("threads", options.threads, 1, 1024));
  return status;
}

TrainerOptions ReadTrainerOptions() {
  TrainerOptions trainer;
  trainer.epochs = absl::GetFlag(FLAGS_epochs);
  trainer.batch_size = absl::GetFlag(FLAGS_batch);
  trainer.accumulate = absl::GetFlag(FLAGS_accumulate);
  trainer.learning_rate = absl::GetFlag(FLAGS_learning_rate);
  trainer.warmup = absl::GetFlag(FLAGS_warmup);
  trainer.adamw.weight_decay = absl::GetFlag(FLAGS_weight_decay);
  trainer.adamw.max_gradient_norm = absl::GetFlag(FLAGS_clip);
  trainer.seed = absl::GetFlag(FLAGS_seed);
  trainer.evaluations_per_epoch = absl::GetFlag(FLAGS_evaluations);
  trainer.checkpoint_interval = absl::GetFlag(FLAGS_checkpoint_interval);
  trainer.resume = absl::GetFlag(FLAGS_resume);
  trainer.stop_after = absl::GetFlag(FLAGS_stop_after);
  trainer.plot = absl::GetFlag(FLAGS_plot);
  trainer.average_decay = absl::GetFlag(FLAGS_average);
  return trainer;
}

}  // namespace

absl::StatusOr<CommandOptions> ParseOptions(
    absl::Span<const absl::string_view> arguments) {
  const absl::StatusOr<ParsedFlags> parsed = OurFlags().Parse(arguments);
  if (!parsed.ok()) return parsed.status();
  CommandOptions options;
  options.help = parsed->help;
  options.version = parsed->version;
  if (options.help || options.version) return options;
  options.command = absl::StrJoin(parsed->words, " ");
  absl::Status status = CheckCommand(options.command);
  options.from = absl::GetFlag(FLAGS_from);
  options.out = absl::GetFlag(FLAGS_out);
  options.teacher = absl::GetFlag(FLAGS_teacher);
  options.student = absl::GetFlag(FLAGS_student);
  options.calibrate = absl::GetFlag(FLAGS_calibrate);
  options.augmentation_model = absl::GetFlag(FLAGS_augment_model);
  options.dev_examples = absl::GetFlag(FLAGS_dev_examples);
  options.answers = {absl::GetFlag(FLAGS_max_answer_tokens),
                     absl::GetFlag(FLAGS_no_answer_threshold)};
  options.predictions_path = absl::GetFlag(FLAGS_predictions);
  options.trainer = ReadTrainerOptions();
  options.dropout = absl::GetFlag(FLAGS_dropout);
  if (options.dropout == -1) {
    options.dropout = options.command == "finetune" ? 0.1 : 0;
  }
  options.terms = {absl::GetFlag(FLAGS_distill_predictions),
                   absl::GetFlag(FLAGS_distill_hidden),
                   absl::GetFlag(FLAGS_distill_attention)};
  options.threads = absl::GetFlag(FLAGS_threads);
  if (options.threads == 0) options.threads = EffectiveCores();
  options.precision = absl::GetFlag(FLAGS_precision);
  options.latent = absl::GetFlag(FLAGS_latent);
  options.logits_path = absl::GetFlag(FLAGS_logits);

  status.Update(ReadTask(options));
  options.windows = {absl::GetFlag(FLAGS_max_tokens),
                     absl::GetFlag(FLAGS_doc_stride)};
  if (options.windows.max_tokens == 0) {
    options.windows.max_tokens = options.task.question_answering ? 384 : 128;
  }
  options.augmentation = {absl::GetFlag(FLAGS_augment),
                          absl::GetFlag(FLAGS_augment_probability),
                          absl::GetFlag(FLAGS_augment_candidates),
                          options.trainer.seed, options.windows.max_tokens};
  status.Update(CheckUse(options, *parsed));
  status.Update(CheckPaths(options));
  status.Update(CheckAugmentation(options));
  status.Update(CheckNumbers(options));
  status.Update(ReadQuantization(*parsed, options.quantization));
  status.Update(CheckQuantization(options));
  status.Update(CheckCalibration(options));
  const auto product_type = ParseCompute(absl::GetFlag(FLAGS_compute));
  status.Update(product_type.status());
  if (!status.ok()) return status;
  options.product_type = *product_type;
  return options;
}

std::string HelpText() { return absl::StrCat(kUsage, OurFlags().Help()); }

}  // namespace tern

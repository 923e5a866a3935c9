// The command line of tern-train.
//
// One thread.

#ifndef TERN_TRAIN_OPTIONS_H_
#define TERN_TRAIN_OPTIONS_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "train/augmentation.h"
#include "train/evaluation.h"
#include "train/losses.h"
#include "train/simulated_quantization.h"
#include "train/squad.h"
#include "train/task.h"
#include "train/trainer.h"

namespace tern {

struct CommandOptions {
  bool help = false;     // print HelpText() and exit; nothing else was checked
  bool version = false;  // print the version and exit; the same
  std::string command;   // finetune, ternarize, evaluate or score
  std::string from;      // the folder to start from, or to evaluate
  std::string out;       // the run's folder
  std::string teacher;   // finetune: learn its predictions; empty: the labels
  std::string student;   // ternarize: start from its weights; empty: --from's
  int calibrate = 0;     // ternarize: sequences to choose the start by
  TaskSpec task;
  std::string train_path;
  std::string dev_path;
  WindowOptions windows;  // max_tokens is that of single texts and pairs, too
  int dev_examples = 0;   // of the dev file, from its beginning; 0: all
  double dropout = 0;
  AugmentationOptions augmentation;
  std::string augmentation_model;
  TrainerOptions trainer;
  Quantization quantization;  // of students
  DistillationTerms terms;
  torch::ScalarType product_type = torch::kFloat32;
  int threads = 0;
  std::string precision;    // evaluate
  bool latent = false;      // evaluate
  std::string logits_path;  // evaluate
  AnswerOptions answers;
  std::string predictions_path;  // evaluate, score
};

// Reads the command line, without the program's name.
// Errors: INVALID_ARGUMENT naming the flag, what was expected and what was
// found.
absl::StatusOr<CommandOptions> ParseOptions(
    absl::Span<const absl::string_view> arguments);

// What --help prints.
std::string HelpText();

}  // namespace tern

#endif  // TERN_TRAIN_OPTIONS_H_

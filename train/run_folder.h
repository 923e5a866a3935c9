// What a training run leaves behind, in one folder:
//
//   base/                    config.json and vocabulary (finetune)
//   model/                   the best model on the dev set so far, to be served
//   latent/                  its fp32 weights before ternarization (ternarize)
//   checkpoint.safetensors   everything that --resume needs
//   log.jsonl                one JSON object a line
//   curves.svg               loss and metrics against steps (--plot)
//   augmented.tsv            rewritten copies of examples (--augment)
//   augmentation_base/       configuration of the model that found their words
//
// Each is replaced as a whole: a reader, or a crash, sees the old or the new.
//
// One thread.

#ifndef TERN_TRAIN_RUN_FOLDER_H_
#define TERN_TRAIN_RUN_FOLDER_H_

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "train/bert_module.h"
#include "train/task.h"

namespace tern {

struct RunFolder {
  std::string path;

  std::string base() const { return path + "/base"; }
  std::string model() const { return path + "/model"; }
  std::string latent() const { return path + "/latent"; }
  std::string checkpoint() const { return path + "/checkpoint.safetensors"; }
  std::string log() const { return path + "/log.jsonl"; }
  std::string curves() const { return path + "/curves.svg"; }
  std::string augmented() const { return path + "/augmented.tsv"; }
  std::string augmentation_base() const { return path + "/augmentation_base"; }
};

// Keeps a run's folder for one process, until it goes.
class RunLock {
 public:
  explicit RunLock(int fd) : fd_(fd) {}
  RunLock(RunLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  ~RunLock();

 private:
  int fd_;
};

// Makes the run's folder, locks it, and removes what a killed run left half
// written.
// Errors: FAILED_PRECONDITION where another process has it or, unless the run
// is to be resumed, where a run has left a checkpoint; what errno says.
absl::StatusOr<RunLock> OpenRun(const RunFolder& run, bool resume);

// Makes the folder `to` that has what a model needs besides its tensors: the
// tokenizer's files of `pretrained`, and its config.json as that of a
// classifier or question answerer for `task`.
// Errors: NOT_FOUND for a missing config.json or vocab.txt; what errno says.
absl::Status MakeBase(const std::string& pretrained, const TaskSpec& task,
                      const std::string& to);

// Writes the parameters as F32, with config.json and the tokenizer's files of
// the folder `base`, in the place of the folder `to`.
absl::Status WriteFloatFolder(const BertModule& module, const std::string& base,
                              const std::string& to);

// The same as a ternary folder with its self-check; the module's quantization
// is servable().
absl::Status WriteTernaryFolder(const BertModule& module,
                                const std::string& base, const std::string& to);

}  // namespace tern

#endif  // TERN_TRAIN_RUN_FOLDER_H_

// A loaded model, ready to run batches.
//
// The engine owns the weights in the form its precision needs and nothing else;
// all memory that a pass writes is in the caller's Workspace, all threads are
// in the caller's ThreadTeam. So one engine serves any number of workers.
//
// Thread-safe: Forward is const.

#ifndef TERN_MODEL_ENGINE_H_
#define TERN_MODEL_ENGINE_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "model/batch.h"
#include "model/config.h"
#include "model/thread_team.h"
#include "model/workspace.h"

namespace tern {

struct Variant;  // kernels/variant.h

enum class Precision { kFp32, kInt8, kTernary };

absl::string_view PrecisionName(Precision precision);  // "fp32", ...
// Errors: INVALID_ARGUMENT listing the precisions.
absl::StatusOr<Precision> ParsePrecision(absl::string_view name);

struct EngineOptions {
  // Empty: ternary for a ternary folder, else fp32.
  std::string precision{};
  // Kernel variant; empty for TERN_FORCE_VARIANT or the best.
  std::string variant{};
  // Kernels to take instead of a listed variant, e.g. ones that time
  // themselves; they outlive the engine.
  const Variant* kernels = nullptr;
  // Check the SHA-256 of every tensor of a ternary folder.
  bool verify_checksums = true;
};

class Engine {
 public:
  // Loads a Hugging Face folder.
  // Errors: NOT_FOUND, INVALID_ARGUMENT or DATA_LOSS naming the file and the
  // thing in it, what was expected and what was found; e.g. precision "ternary"
  // of a folder that is not ternary.
  static absl::StatusOr<std::unique_ptr<Engine>> Load(
      const std::string& folder, const EngineOptions& options);
  ~Engine();

  // Runs the batch and returns its logits, which live in `workspace` until its
  // next use:
  //   classifiers         [sequences, outputs]
  //   question answering  [tokens, 2], start and end logit of each token
  //   embedding models    [sequences, hidden_size], pooled, not normalized
  // Every sequence has 1 to config().max_positions tokens, every id is in the
  // vocabulary, and the batch has no more tokens than the workspace.
  // `abandoned` is asked between layers; once it says true, the pass ends with
  // CANCELLED. It may assemble another number of threads.
  absl::StatusOr<absl::Span<const float>> Forward(
      const Batch& batch, Workspace& workspace, ThreadTeam& team,
      absl::FunctionRef<bool()> abandoned) const;

  const BertConfig& config() const;
  Precision precision() const;
  absl::string_view variant() const;  // of the kernels, e.g. "avx2"
  int64_t parameters() const;
  int64_t file_bytes() const;  // of model.safetensors

 private:
  struct Impl;
  explicit Engine(std::unique_ptr<const Impl> impl);
  std::unique_ptr<const Impl> impl_;
};

}  // namespace tern

#endif  // TERN_MODEL_ENGINE_H_

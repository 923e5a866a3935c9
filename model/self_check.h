// A ternary model's proof that it computes here what it computed where it was
// made.
//
// The file tern_self_check.json in its folder holds a few inputs, as token ids,
// and a digest of each one's logits. A ternary model has the same bits with all
// kernels on any machine (docs/design.md), so whatever gives other bits is
// broken: the weights in memory, a kernel, a compiler, a CPU. Models in fp32
// and int8 have no such bits, and no check.
//
// Thread-safe: pure functions.

#ifndef TERN_MODEL_SELF_CHECK_H_
#define TERN_MODEL_SELF_CHECK_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "kernels/variant.h"
#include "model/engine.h"

namespace tern {

inline constexpr char kSelfCheckFile[] = "tern_self_check.json";

struct SelfCheck {
  struct Input {
    std::vector<int32_t> ids;
    std::vector<int32_t> type_ids;
    std::string logits_sha256;  // of Forward's floats, little-endian
  };
  std::string vocabulary_sha256;  // of vocab.txt
  std::vector<Input> inputs;
};

// The folder's self-check, which vocab.txt has passed; none without the file.
// Errors: INVALID_ARGUMENT naming the file and what is wrong in it; DATA_LOSS
// for another vocab.txt.
absl::StatusOr<std::optional<SelfCheck>> ReadSelfCheck(
    const std::string& folder, const BertConfig& config);

// Whether the engine gives the bits that the self-check expects.
// Errors: DATA_LOSS naming the input and the engine's variant.
absl::Status RunSelfCheck(const SelfCheck& check, const Engine& engine);

// Writes the self-check of a ternary folder, as the scalar kernels compute it.
// Errors: those of Engine::Load; FAILED_PRECONDITION for a folder that is not
// ternary; what errno says.
absl::Status WriteSelfCheck(const std::string& folder);

struct CheckedEngine {
  std::unique_ptr<const Engine> engine;
  bool checked = false;    // else it had nothing to pass
  absl::Status fell_back;  // why it does not run the variant of first choice
};

// Loads the engine with the first of two variants that passes the self-check:
// the one that Engine::Load takes and, where nobody asked for that one, the
// next best of this machine.
// Errors: those of Engine::Load and ReadSelfCheck; DATA_LOSS where none passes.
absl::StatusOr<CheckedEngine> LoadCheckedEngine(const std::string& folder,
                                                const EngineOptions& options);
// The same with the first of these kernels that passes.
absl::StatusOr<CheckedEngine> LoadCheckedEngine(
    const std::string& folder, EngineOptions options,
    absl::Span<const Variant* const> variants);

}  // namespace tern

#endif  // TERN_MODEL_SELF_CHECK_H_

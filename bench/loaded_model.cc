#include "bench/loaded_model.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace tern {

absl::StatusOr<LoadedModel> LoadModel(const BenchOptions& options,
                                      const Variant* kernels) {
  LoadedModel model;
  absl::StatusOr<std::unique_ptr<Tokenizer>> tokenizer =
      Tokenizer::Load(options.folder);
  if (!tokenizer.ok()) return tokenizer.status();
  model.tokenizer = *std::move(tokenizer);
  absl::StatusOr<std::unique_ptr<Engine>> engine =
      Engine::Load(options.folder, {.precision = options.precision,
                                    .variant = options.variant,
                                    .kernels = kernels});
  if (!engine.ok()) return engine.status();
  model.engine = *std::move(engine);
  return model;
}

absl::StatusOr<Workload> LoadWorkload(const BenchOptions& options,
                                      const LoadedModel& model) {
  const int positions = model.engine->config().max_positions;
  if (!options.texts_path.empty()) {
    const int max_tokens = std::min(options.max_tokens, positions);
    return ReadWorkload(options.texts_path, *model.tokenizer, max_tokens,
                        std::max(options.max_batch_tokens, max_tokens));
  }
  if (options.tokens > positions) {
    return absl::InvalidArgumentError(
        absl::StrCat("--tokens: expected at most ", positions,
                     ", the model's positions, found ", options.tokens));
  }
  return MakeWorkload(options.folder, *model.tokenizer, options.tokens,
                      options.sequences);
}

}  // namespace tern

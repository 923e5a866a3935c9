// What every subcommand of tern-bench begins with.

#ifndef TERN_BENCH_LOADED_MODEL_H_
#define TERN_BENCH_LOADED_MODEL_H_

#include <memory>

#include "absl/status/statusor.h"
#include "bench/bench_commands.h"
#include "bench/workload.h"
#include "model/engine.h"
#include "tokenizer/tokenizer.h"

namespace tern {

struct LoadedModel {
  std::unique_ptr<Tokenizer> tokenizer;
  std::unique_ptr<Engine> engine;
};

// `kernels`: see EngineOptions.
absl::StatusOr<LoadedModel> LoadModel(const BenchOptions& options,
                                      const Variant* kernels = nullptr);

absl::StatusOr<Workload> LoadWorkload(const BenchOptions& options,
                                      const LoadedModel& model);

}  // namespace tern

#endif  // TERN_BENCH_LOADED_MODEL_H_

#include <cstdio>
#include <fstream>
#include <string>

#include "bench/batch_runner.h"
#include "bench/bench_commands.h"
#include "bench/loaded_model.h"
#include "nlohmann/json.hpp"

namespace tern {
namespace {

// A line of /proc/self/status, in bytes; 0 where there is none.
int64_t StatusBytes(const std::string& name) {
  std::ifstream status("/proc/self/status");
  for (std::string key; status >> key; status.ignore(1 << 10, '\n')) {
    int64_t kilobytes = 0;
    if (key == name + ":" && status >> kilobytes) return kilobytes * 1024;
  }
  return 0;
}

}  // namespace

absl::Status LoadCommand(const BenchOptions& options) {
  const int64_t bare_bytes = StatusBytes("VmRSS");
  const double start = MonotonicSeconds();
  absl::StatusOr<LoadedModel> model = LoadModel(options);
  if (!model.ok()) return model.status();
  const double loaded = MonotonicSeconds();
  // A server's worker: room for a whole batch, not just for this one.
  BatchRunner runner(model->engine.get(), model->tokenizer.get(),
                     model->engine->config().max_positions,
                     options.max_batch_tokens, options.threads);
  const WorkloadText text = {.text = "a gripping film", .pair = {}};
  if (auto logits = runner.Run({&text, 1}); !logits.ok()) {
    return logits.status();
  }
  const double answered = MonotonicSeconds();

  // The memory of a worker that has seen all that may come.
  const absl::StatusOr<Workload> workload = LoadWorkload(options, *model);
  if (!workload.ok()) return workload.status();
  for (const std::vector<WorkloadText>& batch : workload->batches) {
    if (auto logits = runner.Run(batch); !logits.ok()) return logits.status();
  }
  const nlohmann::json result = {
      {"load_seconds", loaded - start},
      {"first_answer_seconds", answered - start},
      {"bare_bytes", bare_bytes},
      {"resident_bytes", StatusBytes("VmRSS")},
      {"peak_bytes", StatusBytes("VmHWM")},
      {"file_bytes", model->engine->file_bytes()},
  };
  std::puts(result.dump().c_str());
  return absl::OkStatus();
}

}  // namespace tern

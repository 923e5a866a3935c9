#include <atomic>
#include <cstdio>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "bench/batch_runner.h"
#include "bench/bench_commands.h"
#include "bench/loaded_model.h"
#include "nlohmann/json.hpp"

namespace tern {
namespace {

using Runners = std::vector<std::unique_ptr<BatchRunner>>;

// One pass: each runner takes the next batch until none is left.
absl::Status RunAll(const Workload& workload, Runners& runners) {
  std::atomic<size_t> next{0};
  std::mutex mutex;
  absl::Status first_error;
  const auto work = [&](BatchRunner& runner) {
    for (;;) {
      const size_t batch = next++;
      if (batch >= workload.batches.size()) return;
      const auto logits = runner.Run(workload.batches[batch]);
      if (!logits.ok()) {
        std::lock_guard lock(mutex);
        first_error.Update(logits.status());
        return;
      }
    }
  };
  std::vector<std::thread> others;
  for (size_t r = 1; r < runners.size(); ++r) {
    others.emplace_back(work, std::ref(*runners[r]));
  }
  work(*runners[0]);
  for (std::thread& other : others) other.join();
  return first_error;
}

}  // namespace

absl::Status TimeCommand(const BenchOptions& options) {
  absl::StatusOr<LoadedModel> model = LoadModel(options);
  if (!model.ok()) return model.status();
  const absl::StatusOr<Workload> workload = LoadWorkload(options, *model);
  if (!workload.ok()) return workload.status();

  Runners runners;
  for (int worker = 0; worker < options.workers; ++worker) {
    runners.push_back(std::make_unique<BatchRunner>(
        model->engine.get(), model->tokenizer.get(), workload->max_tokens,
        workload->max_batch_tokens, options.threads));
  }
  if (absl::Status status = CheckAnswers(*model->engine, *model->tokenizer,
                                         *workload, *runners[0]);
      !status.ok()) {
    return status;
  }

  std::vector<double> pass_seconds;
  const double start = MonotonicSeconds();
  while (pass_seconds.empty() || MonotonicSeconds() - start < options.seconds) {
    const double pass_start = MonotonicSeconds();
    if (absl::Status status = RunAll(*workload, runners); !status.ok()) {
      return status;
    }
    pass_seconds.push_back(MonotonicSeconds() - pass_start);
  }
  const nlohmann::json result = {
      {"variant", std::string(model->engine->variant())},
      {"precision", std::string(PrecisionName(model->engine->precision()))},
      {"threads", options.threads},
      {"workers", options.workers},
      {"batches", workload->batches.size()},
      {"sequences", workload->sequences},
      {"tokens", workload->tokens},
      {"pass_seconds", pass_seconds},
  };
  std::puts(result.dump().c_str());
  return absl::OkStatus();
}

}  // namespace tern

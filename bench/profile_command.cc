#include <cstdio>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_format.h"
#include "bench/batch_runner.h"
#include "bench/bench_commands.h"
#include "bench/loaded_model.h"
#include "bench/profiled_kernels.h"
#include "bench/register_peak.h"

namespace tern {
namespace {

struct Profile {
  std::vector<KernelTimes> kernels;
  int passes = 0;
  int threads = 1;
  double wall_seconds = 0;    // of all passes
  double encode_seconds = 0;  // on one thread
  double peak = 0;            // multiply-adds a second of one core; 0 unknown
  double bandwidth = 0;       // bytes a second of all threads
};

void PrintStage(const Profile& profile, absl::string_view name, double seconds,
                int64_t calls) {
  const double all_threads = profile.wall_seconds * profile.threads;
  absl::PrintF("%-24s %9.3f %6.1f%% %8d\n", name,
               1e3 * seconds / profile.passes / profile.threads,
               100 * seconds / all_threads, calls / profile.passes);
}

void PrintStages(const Profile& profile) {
  absl::PrintF("%-24s %9s %7s %8s\n", "stage", "ms", "share", "calls");
  double linear = 0, known = profile.encode_seconds;
  for (const KernelTimes& kernel : profile.kernels) {
    PrintStage(profile, kernel.name, kernel.seconds, kernel.calls);
    known += kernel.seconds;
    if (absl::StartsWith(kernel.name, "linear ")) linear += kernel.seconds;
  }
  PrintStage(profile, "tokenize", profile.encode_seconds, 0);
  // Look-ups of embeddings, the head, handing over to threads and awaiting
  // them.
  PrintStage(profile, "other and waiting",
             profile.wall_seconds * profile.threads - known, 0);
  PrintStage(profile, "linear layers, all", linear, 0);
}

void PrintRoofline(const Profile& profile) {
  absl::PrintF(
      "\nroofline of a core: registers sum %.0f GMAC/s; %d threads read %.1f "
      "GB/s from memory\n%-24s %9s %8s %9s %9s\n",
      profile.peak / 1e9, profile.threads, profile.bandwidth / 1e9, "kernel",
      "GMAC/s", "of peak", "weight GB/s", "of memory");
  for (const KernelTimes& kernel : profile.kernels) {
    if (kernel.multiply_adds == 0) continue;
    const double rate = kernel.multiply_adds / kernel.seconds;
    const double bytes = kernel.weight_bytes / kernel.seconds * profile.threads;
    absl::PrintF("%-24s %9.1f %7.0f%% %11.2f %8.0f%%\n", kernel.name,
                 rate / 1e9, profile.peak > 0 ? 100 * rate / profile.peak : 0,
                 bytes / 1e9, 100 * bytes / profile.bandwidth);
  }
}

}  // namespace

absl::Status ProfileCommand(const BenchOptions& options) {
  const absl::StatusOr<const Variant*> variant = ChooseVariant(options.variant);
  if (!variant.ok()) return variant.status();
  absl::StatusOr<LoadedModel> model =
      LoadModel(options, ProfiledKernels(**variant));
  if (!model.ok()) return model.status();
  const absl::StatusOr<Workload> workload = LoadWorkload(options, *model);
  if (!workload.ok()) return workload.status();

  BatchRunner runner(model->engine.get(), model->tokenizer.get(),
                     workload->max_tokens, workload->max_batch_tokens,
                     options.threads);
  if (absl::Status status =
          CheckAnswers(*model->engine, *model->tokenizer, *workload, runner);
      !status.ok()) {
    return status;
  }

  Profile profile;
  profile.threads = options.threads;
  profile.peak = PeakOfVariant((*variant)->name);
  profile.bandwidth = ReadBandwidth(options.threads);
  TakeKernelTimes();  // drops those of the check
  const double encode_before = runner.encode_seconds();
  const double start = MonotonicSeconds();
  while (profile.passes == 0 || MonotonicSeconds() - start < options.seconds) {
    for (const std::vector<WorkloadText>& batch : workload->batches) {
      if (auto logits = runner.Run(batch); !logits.ok()) {
        return logits.status();
      }
    }
    ++profile.passes;
  }
  profile.wall_seconds = MonotonicSeconds() - start;
  profile.encode_seconds = runner.encode_seconds() - encode_before;
  profile.kernels = TakeKernelTimes();

  absl::PrintF(
      "%d passes of %d tokens in %d sequences, %s, %d threads: %.3f "
      "ms a pass\n\n",
      profile.passes, workload->tokens, workload->sequences, (*variant)->name,
      options.threads, 1e3 * profile.wall_seconds / profile.passes);
  PrintStages(profile);
  PrintRoofline(profile);
  return absl::OkStatus();
}

}  // namespace tern

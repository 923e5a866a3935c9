// tern-train: see --help.

#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "ATen/Parallel.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "c10/util/Exception.h"
#include "flags/version.h"
#include "train/commands.h"
#include "train/options.h"
#include "train/task_data.h"
#include "train/tensor_memory.h"

namespace {

constexpr int kExitFailed = 1;
constexpr int kExitUsage = 2;
constexpr int kExitStopped = 3;

int Report(const absl::Status& status, int exit_code) {
  std::fprintf(stderr, "tern-train: %s\n",
               std::string(status.message()).c_str());
  return exit_code;
}

absl::Status Run(tern::CommandOptions& options) {
  if (options.command == "score") return tern::ScoreAnswers(options);
  absl::Status status = tern::ResolveLabels(options);
  if (!status.ok()) return status;
  if (options.command == "finetune") return tern::Finetune(options);
  if (options.command == "ternarize") {
    return tern::TernarizeByDistillation(options);
  }
  return tern::Evaluate(options);
}

// libtorch throws, e.g. where there is no more memory.
absl::Status RunWithoutThrowing(tern::CommandOptions& options) {
  try {
    return Run(options);
  } catch (const c10::Error& error) {
    return absl::InternalError(error.what_without_backtrace());
  } catch (const std::exception& error) {
    return absl::InternalError(error.what());
  }
}

}  // namespace

int main(int argc, char** argv) {
  tern::SetUpTensorMemory();
  const std::vector<absl::string_view> arguments(argv + 1, argv + argc);
  absl::StatusOr<tern::CommandOptions> options = tern::ParseOptions(arguments);
  if (!options.ok()) return Report(options.status(), kExitUsage);
  if (options->help) {
    std::fputs(tern::HelpText().c_str(), stdout);
    return 0;
  }
  if (options->version) {
    std::printf("tern-train %s\n", tern::Version());
    return 0;
  }
  at::set_num_threads(options->threads);
  absl::Status status = RunWithoutThrowing(*options);
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
    status.Update(absl::UnavailableError("the result cannot be written"));
  }
  if (status.ok()) return 0;
  return Report(status, absl::IsCancelled(status) ? kExitStopped : kExitFailed);
}

// tern-train: see --help.

#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "ATen/Parallel.h"
#include "absl/status/status.h"
#include "train/commands.h"
#include "train/options.h"

namespace {

constexpr int kExitFailed = 1;
constexpr int kExitUsage = 2;
constexpr int kExitStopped = 3;

int Report(const absl::Status& status, int exit_code) {
  std::fprintf(stderr, "tern-train: %s\n",
               std::string(status.message()).c_str());
  return exit_code;
}

// Has malloc keep what tensors gave back, in one heap of huge pages. Each step
// makes and drops tensors of megabytes: mapped anew each time, the kernel's
// zeroing of their pages took 38% of a step on SQuAD; and a step of BERT-Base
// goes through gigabytes, in pages of 4 KiB a sixth slower.
void KeepFreedMemory() {
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, -1);
  const int64_t pages = sysconf(_SC_PHYS_PAGES);
  const int64_t page_bytes = sysconf(_SC_PAGESIZE);
  // Of addresses only: what is never touched takes no memory.
  const size_t bytes = pages / 4 * 3 * page_bytes;
  void* const heap = std::malloc(bytes);
  if (heap == nullptr) return;
  const auto begin = reinterpret_cast<uintptr_t>(heap);
  const uintptr_t first_page =
      (begin + page_bytes - 1) / page_bytes * page_bytes;
  madvise(reinterpret_cast<void*>(first_page), bytes - page_bytes,
          MADV_HUGEPAGE);
  std::free(heap);
}

absl::Status Run(const tern::CommandOptions& options) {
  if (options.command == "finetune") return tern::Finetune(options);
  if (options.command == "ternarize") {
    return tern::TernarizeByDistillation(options);
  }
  if (options.command == "score") return tern::ScoreAnswers(options);
  return tern::Evaluate(options);
}

}  // namespace

int main(int argc, char** argv) {
  const absl::StatusOr<tern::CommandOptions> options =
      tern::ParseCommandLine(argc, argv);
  if (!options.ok()) return Report(options.status(), kExitUsage);
  KeepFreedMemory();
  at::set_num_threads(options->threads);
  const absl::Status status = Run(*options);
  if (status.ok()) return 0;
  return Report(status, absl::IsCancelled(status) ? kExitStopped : kExitFailed);
}

// The subcommands of tern-bench: each prints its result to stdout as one line
// of JSON or as a table.

#ifndef TERN_BENCH_BENCH_COMMANDS_H_
#define TERN_BENCH_BENCH_COMMANDS_H_

#include <string>

#include "absl/status/status.h"

namespace tern {

struct BenchOptions {
  std::string folder;
  std::string precision;  // as EngineOptions has them
  std::string variant;
  // What runs: the lines of texts_path or, where that is empty, `sequences`
  // made-up texts of `tokens` tokens.
  std::string texts_path;
  int tokens = 128;
  int sequences = 1;
  int max_tokens = 512;  // of a line of texts_path
  int max_batch_tokens = 1024;
  int threads = 1;  // of a batch
  int workers = 1;  // batches at a time
  double seconds = 1;
};

// How long a pass over the workload takes, tokenization included, after one to
// warm up and check the answers.
absl::Status TimeCommand(const BenchOptions& options);

// Where the time of a pass goes, and how near each kernel is to what the
// machine can do.
absl::Status ProfileCommand(const BenchOptions& options);

// Time from an empty process to the first answer, and the memory it costs.
absl::Status LoadCommand(const BenchOptions& options);

}  // namespace tern

#endif  // TERN_BENCH_BENCH_COMMANDS_H_

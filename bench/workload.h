// The texts that an engine benchmark runs, gathered into batches.

#ifndef TERN_BENCH_WORKLOAD_H_
#define TERN_BENCH_WORKLOAD_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tokenizer/tokenizer.h"

namespace tern {

struct WorkloadText {
  std::string text;
  std::optional<std::string> pair;
};

struct Workload {
  std::vector<std::vector<WorkloadText>> batches;
  int max_tokens = 0;  // of a sequence: longer ones are cut
  int max_batch_tokens = 0;
  int64_t tokens = 0;  // of all batches
  int64_t sequences = 0;
};

// One batch of `sequences` texts, each `tokens` tokens long: words drawn from
// the vocab.txt of `folder`, always the same ones.
// Errors: NOT_FOUND without vocab.txt, INVALID_ARGUMENT where the vocabulary
// has no plain words or `tokens` is below 3.
absl::StatusOr<Workload> MakeWorkload(const std::string& folder,
                                      const Tokenizer& tokenizer, int tokens,
                                      int sequences);

// The lines of a file, each a text or `text<TAB>pair`, in order: as many to a
// batch as have at most `max_batch_tokens` tokens together.
// Errors: NOT_FOUND, INVALID_ARGUMENT for a file without a line or a line that
// cannot be encoded.
absl::StatusOr<Workload> ReadWorkload(const std::string& path,
                                      const Tokenizer& tokenizer,
                                      int max_tokens, int max_batch_tokens);

absl::StatusOr<Encoding> Encode(const Tokenizer& tokenizer,
                                const WorkloadText& text, int max_tokens);

}  // namespace tern

#endif  // TERN_BENCH_WORKLOAD_H_

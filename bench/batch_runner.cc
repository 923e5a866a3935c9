#include "bench/batch_runner.h"

#include <chrono>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace tern {

double MonotonicSeconds() {
  return std::chrono::duration<double>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

BatchRunner::BatchRunner(const Engine* engine, const Tokenizer* tokenizer,
                         int max_tokens, int max_batch_tokens, int threads)
    : engine_(engine),
      tokenizer_(tokenizer),
      max_tokens_(max_tokens),
      team_(threads),
      workspace_(max_batch_tokens, threads) {
  workspace_.Reserve(engine->config());
}

absl::Status BatchRunner::EncodeAll(absl::Span<const WorkloadText> texts) {
  batch_.Clear();
  for (const WorkloadText& text : texts) {
    const absl::StatusOr<Encoding> encoding =
        Encode(*tokenizer_, text, max_tokens_);
    if (!encoding.ok()) return encoding.status();
    batch_.Add(encoding->ids, encoding->type_ids);
  }
  return absl::OkStatus();
}

absl::StatusOr<absl::Span<const float>> BatchRunner::Run(
    absl::Span<const WorkloadText> texts) {
  const double start = MonotonicSeconds();
  if (absl::Status status = EncodeAll(texts); !status.ok()) return status;
  encode_seconds_ += MonotonicSeconds() - start;
  team_.Assemble(team_.max_threads());
  absl::StatusOr<absl::Span<const float>> logits =
      engine_->Forward(batch_, workspace_, team_, [] { return false; });
  team_.Dismiss();
  return logits;
}

absl::Status CheckAnswers(const Engine& engine, const Tokenizer& tokenizer,
                          const Workload& workload, BatchRunner& runner) {
  const absl::StatusOr<absl::Span<const float>> together =
      runner.Run(workload.batches[0]);
  if (!together.ok()) return together.status();
  BatchRunner alone(&engine, &tokenizer, workload.max_tokens,
                    workload.max_tokens, /*threads=*/1);
  size_t position = 0;
  for (size_t i = 0; i < workload.batches[0].size(); ++i) {
    const absl::StatusOr<absl::Span<const float>> logits =
        alone.Run({&workload.batches[0][i], 1});
    if (!logits.ok()) return logits.status();
    if (std::memcmp(logits->data(), together->data() + position,
                    logits->size() * sizeof(float)) != 0) {
      return absl::InternalError(
          absl::StrCat("text ", i, " of the first batch: expected the logits ",
                       "that it gets alone on one thread, found others"));
    }
    position += logits->size();
  }
  return absl::OkStatus();
}

}  // namespace tern

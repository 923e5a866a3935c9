#include "server/worker.h"

#include <exception>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "server/log.h"

namespace tern {
namespace {

// Copies each sequence's part of the batch's logits into its request.
void HandOut(absl::Span<const float> logits, const Batch& batch,
             const Work& work) {
  const BertConfig& config = work.model().engine->config();
  const size_t outputs = config.outputs();
  for (size_t s = 0; s < work.items.size(); ++s) {
    const absl::Span<const float> part =
        config.task == Task::kQuestionAnswering
            ? logits.subspan(batch.starts[s] * outputs,
                             batch.length(s) * outputs)
            : logits.subspan(s * outputs, outputs);
    const Work::Item& item = work.items[s];
    item.request->logits[item.sequence].assign(part.begin(), part.end());
  }
}

}  // namespace

Worker::Worker(const Options& options, const Clock* clock, Scheduler* scheduler,
               CoreBudget* cores, Metrics* metrics,
               const std::vector<std::shared_ptr<const ServedModel>>& models)
    : clock_(clock),
      scheduler_(scheduler),
      cores_(cores),
      metrics_(metrics),
      team_(options.max_threads),
      workspace_(options.max_batch_tokens, options.max_threads) {
  for (const auto& model : models) workspace_.Reserve(model->engine->config());
  thread_ = std::thread([this] { Run(); });
}

Worker::~Worker() { thread_.join(); }

void Worker::Run() {
  for (int64_t batches = 0; scheduler_->AwaitWork();) {
    std::optional<CoreBudget::Lease> lease = cores_->Acquire();
    const Work work = scheduler_->Take();
    if (work.empty()) continue;
    current_batch_ = ++batches;
    ShareCores(*lease);
    const absl::Status status = TryToCompute(work, *lease);
    team_.Dismiss();
    lease.reset();  // replies are written while the next batch computes
    metrics_->ObserveBatch(work, clock_->Now() - work.taken_at);
    scheduler_->Finish(work, status);
    current_batch_ = 0;
  }
}

void Worker::ShareCores(CoreBudget::Lease& lease) {
  if (scheduler_->HasWaiting()) {
    lease.GiveWhatOthersAwait();
  } else {
    lease.ExtendTo(team_.max_threads());
  }
  team_.Assemble(lease.cores());
}

absl::Status Worker::TryToCompute(const Work& work, CoreBudget::Lease& lease) {
  try {
    return Compute(work, lease);
  } catch (const std::exception& error) {
    Log(LogLevel::kError, "batch failed",
        {{"model", work.model().name}, {"error", std::string(error.what())}});
    return absl::InternalError(
        absl::StrCat("the batch could not be computed: ", error.what()));
  }
}

absl::Status Worker::Compute(const Work& work, CoreBudget::Lease& lease) {
  batch_.Clear();
  for (const Work::Item& item : work.items) {
    const Encoding& encoding = item.request->sequences[item.sequence];
    batch_.Add(encoding.ids, encoding.type_ids);
  }
  const Engine& engine = *work.model().engine;
  workspace_.Reserve(engine.config());
  const absl::StatusOr<absl::Span<const float>> logits =
      engine.Forward(batch_, workspace_, team_, [&] {
        ShareCores(lease);
        return scheduler_->Abandoned(work);
      });
  if (!logits.ok()) return logits.status();
  HandOut(*logits, batch_, work);
  return absl::OkStatus();
}

}  // namespace tern

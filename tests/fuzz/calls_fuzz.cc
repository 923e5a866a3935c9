// Any bytes as the message of a call, whose first byte chooses the call: read,
// checked, encoded and queued. No worker computes it; it is abandoned.

#include <cstdint>
#include <cstdlib>
#include <memory>

#include "google/protobuf/stubs/logging.h"
#include "server/answer_call.h"
#include "server/classify_call.h"
#include "server/oip_call.h"
#include "tests/fuzz/fuzz_folder.h"
#include "tests/tiny_model.h"

namespace tern {
namespace {

struct Environment {
  Environment() {
    google::protobuf::SetLogHandler(nullptr);
    AddModel("classifier", TinyTask::kSingleLabel);
    AddModel("answerer", TinyTask::kQuestionAnswering);
  }

  void AddModel(const std::string& name, TinyTask task) {
    TinyModelOptions options;
    options.task = task;
    const ModelSource source = {.name = name,
                                .folder = folder.path() + "/" + name};
    if (!WriteTinyModel(source.folder, options).ok()) std::abort();
    auto model = LoadServedModel(source, /*verify_checksums=*/true);
    if (!model.ok() || !models.Add(*std::move(model)).ok()) std::abort();
  }

  FuzzFolder folder;
  MonotonicClock clock;
  ModelRegistry models;
  Scheduler scheduler{{}, &clock};
  Metrics metrics{&scheduler};
  CallLog log{{}};
  CallEnvironment calls{.max_inputs = 1024,
                        .clock = clock,
                        .models = models,
                        .scheduler = scheduler,
                        .metrics = metrics,
                        .log = log};
};

std::unique_ptr<Call> NewCall(uint8_t kind, const CallEnvironment& calls) {
  switch (kind % 3) {
    case 0:
      return std::make_unique<ClassifyCall>(calls);
    case 1:
      return std::make_unique<AnswerCall>(calls);
    default:
      return std::make_unique<OipCall>(calls);
  }
}

}  // namespace
}  // namespace tern

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tern;
  static Environment environment;
  if (size < 1) return 0;
  const std::unique_ptr<Call> call = NewCall(data[0], environment.calls);
  if (!call->request_message().ParseFromArray(data + 1,
                                              static_cast<int>(size - 1))) {
    return 0;
  }
  int done = 0;
  call->Start(absl::OkStatus(), absl::InfiniteFuture(),
              [&done](const absl::Status&) { ++done; });
  if (done == 0) call->Abandon(Awaited::kCancelled);
  if (done != 1) std::abort();
  return 0;
}

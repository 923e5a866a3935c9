#include "tests/end_to_end/call_load.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <random>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tern/v1/inference_service.grpc.pb.h"
#include "tests/end_to_end/random_texts.h"

namespace tern {
namespace {

constexpr int kRequests = 500;

class Load {
 public:
  Load(const std::string& target, const CallLoadOptions& options)
      : options_(options), random_(options.seed) {
    MakeRequests();
    grpc::ChannelArguments arguments;
    arguments.SetUserAgentPrefix(absl::StrCat("call-load-", options.seed));
    arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
    stub_ = v1::InferenceService::NewStub(grpc::CreateCustomChannel(
        target, grpc::InsecureChannelCredentials(), arguments));
  }

  CallLoadReport Run() {
    const absl::Time start = absl::Now();
    end_ = start + options_.time;
    if (options_.calls_per_second > 0) {
      const absl::Duration gap = absl::Seconds(1 / options_.calls_per_second);
      for (absl::Time next = start; next < end_; next += gap) {
        absl::SleepFor(next - absl::Now());
        Begin();
      }
    } else {
      for (int client = 0; client < options_.clients; ++client) Begin();
    }
    std::unique_lock lock(mutex_);
    none_running_.wait(lock, [this] { return running_ == 0; });
    report_.time = absl::Now() - start;
    for (auto& [code, durations] : report_.durations) {
      std::sort(durations.begin(), durations.end());
    }
    return report_;
  }

 private:
  struct Call {
    grpc::ClientContext context;
    v1::ClassifyResponse response;
    absl::Time begun;
  };

  // Once, since clients share the server's cores.
  void MakeRequests() {
    const auto texts = RandomTexts(200, options_.seed);
    for (int i = 0; i < kRequests; ++i) {
      v1::ClassifyRequest& request = requests_.emplace_back();
      request.set_model(options_.model);
      for (int input = 0; input < options_.texts; ++input) {
        request.add_inputs()->set_text(texts[random_() % texts.size()]);
      }
    }
  }

  void Begin() {
    auto* call = new Call;
    const v1::ClassifyRequest* request = nullptr;
    {
      std::lock_guard lock(mutex_);
      ++running_;
      ++report_.calls;
      request = &requests_[random_() % requests_.size()];
    }
    if (!options_.tenant.empty()) {
      call->context.AddMetadata("x-tenant", options_.tenant);
    }
    call->begun = absl::Now();
    call->context.set_deadline(
        absl::ToChronoTime(call->begun + options_.deadline));
    stub_->async()->Classify(
        &call->context, request, &call->response,
        [this, call](const grpc::Status& status) { End(call, status); });
  }

  void End(Call* call, const grpc::Status& status) {
    const absl::Time now = absl::Now();
    const absl::Duration duration = now - call->begun;
    delete call;
    if (options_.calls_per_second == 0 && now < end_) Begin();
    std::lock_guard lock(mutex_);
    report_.durations[status.error_code()].push_back(duration);
    if (--running_ == 0) none_running_.notify_all();
  }

  const CallLoadOptions options_;
  std::vector<v1::ClassifyRequest> requests_;
  std::unique_ptr<v1::InferenceService::Stub> stub_;
  absl::Time end_;

  std::mutex mutex_;  // guards what follows
  std::condition_variable none_running_;
  std::mt19937 random_;
  int running_ = 0;
  CallLoadReport report_;
};

}  // namespace

int64_t CallLoadReport::count(grpc::StatusCode code) const {
  const auto found = durations.find(code);
  return found == durations.end() ? 0
                                  : static_cast<int64_t>(found->second.size());
}

absl::Duration CallLoadReport::quantile(grpc::StatusCode code,
                                        double part) const {
  const auto found = durations.find(code);
  if (found == durations.end()) return absl::ZeroDuration();
  const std::vector<absl::Duration>& sorted = found->second;
  return sorted[static_cast<size_t>(part * (sorted.size() - 1))];
}

CallLoadReport RunCallLoad(const std::string& target,
                           const CallLoadOptions& options) {
  return Load(target, options).Run();
}

}  // namespace tern

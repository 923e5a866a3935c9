#include "server/health_service.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"

namespace tern {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;
using grpc::health::v1::HealthListRequest;
using grpc::health::v1::HealthListResponse;

namespace {

// Of a Watch's request, which is kept as long as its stream. Room for
// "models/NAME/VERSION" with the longest names that folders can have.
constexpr size_t kMaxWatchBytes = 1024;

}  // namespace

// One Watch stream. Deletes itself when gRPC is done with it. All its methods
// but the callbacks are called with the service's mutex held.
class HealthService::Watcher final
    : public grpc::ServerWriteReactor<HealthCheckResponse> {
 public:
  Watcher(HealthService* service, std::string watched)
      : service_(service), watched_(std::move(watched)) {}

  // Sends the status if it is not the one last sent, as soon as the stream
  // takes it; then ends the stream if the service's watches are ended.
  void Update() ABSL_EXCLUSIVE_LOCKS_REQUIRED(service_->mutex_) {
    if (finished_ || writing_) return;  // OnWriteDone comes back here
    const ServingStatus status = service_->StatusOf(watched_);
    if (sent_ != status) {
      sent_ = status;
      writing_ = true;
      response_.set_status(status);
      StartWrite(&response_);
    } else if (service_->watches_ended_) {
      End({grpc::StatusCode::UNAVAILABLE, "the server is shutting down"});
    }
  }

  void End(const grpc::Status& status) {
    if (!std::exchange(finished_, true)) Finish(status);
  }

 private:
  void OnWriteDone(bool ok) override {
    std::lock_guard lock(service_->mutex_);
    writing_ = false;
    if (ok) {
      Update();
    } else {
      End({grpc::StatusCode::CANCELLED, "the client has gone"});
    }
  }

  void OnCancel() override {
    std::lock_guard lock(service_->mutex_);
    End({grpc::StatusCode::CANCELLED, "the client has gone"});
  }

  void OnDone() override {
    {
      std::lock_guard lock(service_->mutex_);
      service_->watchers_.erase(this);
    }
    delete this;
  }

  HealthService* const service_;
  const std::string watched_;
  HealthCheckResponse response_;
  std::optional<ServingStatus> sent_;
  bool writing_ = false;
  bool finished_ = false;
};

HealthService::HealthService(const std::vector<std::string>& services)
    : services_(services.begin(), services.end()) {
  services_.insert("");
}

void HealthService::SetServing(bool serving) {
  std::lock_guard lock(mutex_);
  serving_ = serving;
  for (Watcher* watcher : watchers_) watcher->Update();
}

void HealthService::SetModels(std::set<std::string> models) {
  std::lock_guard lock(mutex_);
  models_ = std::move(models);
  for (Watcher* watcher : watchers_) watcher->Update();
}

bool HealthService::serving() {
  std::lock_guard lock(mutex_);
  return serving_;
}

void HealthService::EndWatches() {
  std::lock_guard lock(mutex_);
  watches_ended_ = true;
  for (Watcher* watcher : watchers_) watcher->Update();
}

grpc::ServerUnaryReactor* HealthService::Check(
    grpc::CallbackServerContext* context, const HealthCheckRequest* request,
    HealthCheckResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  std::unique_lock lock(mutex_);
  const ServingStatus status = StatusOf(request->service());
  lock.unlock();
  if (status == HealthCheckResponse::SERVICE_UNKNOWN) {
    reactor->Finish({grpc::StatusCode::NOT_FOUND,
                     absl::StrCat("no service '", request->service(), "'")});
  } else {
    response->set_status(status);
    reactor->Finish(grpc::Status::OK);
  }
  return reactor;
}

grpc::ServerUnaryReactor* HealthService::List(
    grpc::CallbackServerContext* context, const HealthListRequest* request,
    HealthListResponse* response) {
  {
    std::lock_guard lock(mutex_);
    for (const auto* names : {&services_, &models_}) {
      for (const std::string& name : *names) {
        (*response->mutable_statuses())[name].set_status(StatusOf(name));
      }
    }
  }
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(grpc::Status::OK);
  return reactor;
}

grpc::ServerWriteReactor<HealthCheckResponse>* HealthService::Watch(
    grpc::CallbackServerContext* context, const HealthCheckRequest* request) {
  const size_t bytes = request->ByteSizeLong();
  auto* watcher = new Watcher(this, request->service());
  std::lock_guard lock(mutex_);
  watchers_.insert(watcher);
  if (bytes > kMaxWatchBytes) {
    watcher->End({grpc::StatusCode::INVALID_ARGUMENT,
                  absl::StrCat("service: expected a request of at most ",
                               kMaxWatchBytes, " bytes, found ", bytes)});
  }
  watcher->Update();
  return watcher;
}

HealthService::ServingStatus HealthService::StatusOf(
    const std::string& service) const {
  if (!services_.contains(service) && !models_.contains(service)) {
    return HealthCheckResponse::SERVICE_UNKNOWN;
  }
  return serving_ ? HealthCheckResponse::SERVING
                  : HealthCheckResponse::NOT_SERVING;
}

}  // namespace tern

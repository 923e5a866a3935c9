#include "server/oip_service.h"

#include <deque>
#include <memory>
#include <utility>
#include <vector>

#include "server/call_reactor.h"
#include "server/no_throw.h"
#include "server/oip_call.h"
#include "server/oip_model.h"
#include "server/status_mapping.h"
#include "server/wire_message.h"

namespace tern {
namespace {

// A stream with this many unanswered requests, or this many bytes in them and
// in responses that wait to be sent, is not read from, so that a client that
// does not read its answers costs bounded memory.
constexpr size_t kMaxStreamed = 256;
constexpr size_t kMaxStreamedBytes = 16 << 20;

// A request with this parameter wants to be told which response is its last;
// every request has one response only.
constexpr char kAsksForFinal[] = "triton_enable_empty_final_response";
constexpr char kFinal[] = "triton_final_response";

grpc::ServerUnaryReactor* FinishWith(grpc::CallbackServerContext* context,
                                     const absl::Status& status) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(ToGrpcStatus(status));
  return reactor;
}

}  // namespace

// One stream. Its requests run at the same time and are answered in order.
// Deletes itself when gRPC is done with it.
class OipService::Stream final
    : public grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  Stream(OipService* service, grpc::CallbackServerContext* context)
      : service_(*service), context_(*context) {
    bool ended = false;
    {
      std::lock_guard lock(service_.mutex_);
      service_.streams_.insert(this);
      ended = service_.streams_ended_;
    }
    if (ended) {
      End();
    } else {
      std::lock_guard lock(mutex_);
      Read();
    }
  }

  // Reads no more requests.
  void End() {
    std::lock_guard lock(mutex_);
    ending_ = true;
    Advance();
  }

 private:
  // A request of the stream and its response.
  struct Entry {
    std::shared_ptr<OipCall> call;  // null once it has ended
    size_t bytes = 0;  // of the request in memory, then of the response
    grpc::ByteBuffer response;
  };

  void OnReadDone(bool ok) override {
    std::unique_lock lock(mutex_);
    reading_ = false;
    if (!ok || finished_) {
      all_read_ = !ok;
      ending_ = true;
      Advance();
      return;
    }
    // Not made before the request came: a call's time begins with it.
    const auto call = std::make_shared<OipCall>(service_.environment_);
    Entry& entry = entries_.emplace_back();
    entry.call = call;
    grpc::ByteBuffer bytes;
    bytes.Swap(&read_);  // into which the next is read as soon as there is room
    lock.unlock();
    SetCaller(context_, *call);
    const absl::Status ready = ReadMessage(bytes, *call);
    bytes.Clear();
    const size_t held = call->RequestMemory();
    lock.lock();
    entry.bytes = held;
    held_bytes_ += held;
    lock.unlock();
    call->Start(ready, DeadlineOf(context_, service_.environment_.clock),
                [this, &entry](const absl::Status& status) {
                  OnCallEnd(entry, status);
                });
    lock.lock();
    Read();
  }

  // Runs on whichever thread ended the call.
  void OnCallEnd(Entry& entry, const absl::Status& status) {
    // Freed when the lock has been, and with it all that the request held.
    const std::shared_ptr<OipCall> call = entry.call;
    inference::ModelStreamInferResponse message;
    inference::ModelInferResponse& response = *message.mutable_infer_response();
    const inference::ModelInferRequest& request = call->request_message();
    if (status.ok()) {
      response = std::move(call->response_message());
    } else {
      message.set_error_message(std::string(status.message()));
      response.set_id(request.id());
    }
    const auto asks = request.parameters().find(kAsksForFinal);
    if (asks != request.parameters().end() && asks->second.bool_param()) {
      (*response.mutable_parameters())[kFinal].set_bool_param(true);
    }
    const absl::Status written =
        NoThrow("the response could not be written",
                [&] { return SerializeMessage(message, entry.response); });
    if (!written.ok()) {
      response.Clear();
      response.set_id(request.id());
      message.set_error_message(std::string(written.message()));
      SerializeMessage(message, entry.response).IgnoreError();
    }
    const size_t bytes = entry.response.Length();
    std::lock_guard lock(mutex_);
    entry.call.reset();
    held_bytes_ += bytes;
    held_bytes_ -= std::exchange(entry.bytes, bytes);
    Advance();
  }

  void OnWriteDone(bool ok) override {
    std::lock_guard lock(mutex_);
    Pop();
    writing_ = false;
    if (!ok) ending_ = cancelled_ = true;
    Read();
    Advance();
  }

  void OnCancel() override {
    const Awaited reason =
        AwaitedAfterCancel(context_, service_.environment_.clock);
    std::vector<std::shared_ptr<OipCall>> unended;
    {
      std::lock_guard lock(mutex_);
      ending_ = cancelled_ = true;
      for (const Entry& entry : entries_) {
        if (entry.call != nullptr) unended.push_back(entry.call);
      }
      Advance();
    }
    // Not under the lock: it ends calls.
    for (const auto& call : unended) call->Abandon(reason);
  }

  void OnDone() override {
    {
      std::lock_guard lock(service_.mutex_);
      service_.streams_.erase(this);
    }
    {
      // The worker that finished the stream may still be about to release it.
      std::lock_guard lock(mutex_);
    }
    delete this;
  }

  // Reads the next request, if there is room for it.
  void Read() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (reading_ || ending_ || entries_.size() >= kMaxStreamed ||
        held_bytes_ >= kMaxStreamedBytes) {
      return;
    }
    reading_ = true;
    StartRead(&read_);
  }

  // Writes the next response if it is there; finishes when none will be.
  void Advance() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (writing_) return;
    while (cancelled_ && !entries_.empty() &&
           entries_.front().call == nullptr) {
      Pop();
    }
    if (!entries_.empty()) {
      if (entries_.front().call != nullptr) return;
      writing_ = true;
      StartWrite(&entries_.front().response);
    } else if (ending_ && !std::exchange(finished_, true)) {
      Finish(all_read_    ? grpc::Status::OK
             : cancelled_ ? grpc::Status(grpc::StatusCode::CANCELLED,
                                         "the client has gone")
                          : grpc::Status(grpc::StatusCode::UNAVAILABLE,
                                         "the server is shutting down"));
    }
  }

  void Pop() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    held_bytes_ -= entries_.front().bytes;
    entries_.pop_front();
  }

  OipService& service_;
  grpc::CallbackServerContext& context_;

  std::mutex mutex_;
  // Read and not yet answered, oldest first; the first may be being written.
  std::deque<Entry> entries_ ABSL_GUARDED_BY(mutex_);
  size_t held_bytes_ ABSL_GUARDED_BY(mutex_) = 0;  // by them
  grpc::ByteBuffer read_;                          // gRPC's while reading_
  bool reading_ ABSL_GUARDED_BY(mutex_) = false;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;     // read no more
  bool all_read_ ABSL_GUARDED_BY(mutex_) = false;   // the client sends no more
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;  // write no more
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
};

void OipService::EndStreams() {
  std::lock_guard lock(mutex_);
  streams_ended_ = true;
  for (Stream* stream : streams_) stream->End();
}

grpc::ServerUnaryReactor* OipService::ServerLive(
    grpc::CallbackServerContext* context, const inference::ServerLiveRequest*,
    inference::ServerLiveResponse* response) {
  response->set_live(true);
  return FinishWith(context, absl::OkStatus());
}

grpc::ServerUnaryReactor* OipService::ServerReady(
    grpc::CallbackServerContext* context, const inference::ServerReadyRequest*,
    inference::ServerReadyResponse* response) {
  response->set_ready(health_.serving());
  return FinishWith(context, absl::OkStatus());
}

grpc::ServerUnaryReactor* OipService::ModelReady(
    grpc::CallbackServerContext* context,
    const inference::ModelReadyRequest* request,
    inference::ModelReadyResponse* response) {
  const auto model =
      FindOipModel(environment_.models, request->name(), request->version());
  response->set_ready(model.ok() && health_.serving());
  return FinishWith(context, absl::OkStatus());
}

grpc::ServerUnaryReactor* OipService::ServerMetadata(
    grpc::CallbackServerContext* context,
    const inference::ServerMetadataRequest*,
    inference::ServerMetadataResponse* response) {
  *response = OipServerMetadata();
  return FinishWith(context, absl::OkStatus());
}

grpc::ServerUnaryReactor* OipService::ModelMetadata(
    grpc::CallbackServerContext* context,
    const inference::ModelMetadataRequest* request,
    inference::ModelMetadataResponse* response) {
  const auto model =
      FindOipModel(environment_.models, request->name(), request->version());
  if (model.ok()) {
    *response = OipModelMetadata(
        **model, OipVersions(environment_.models, request->name()));
  }
  return FinishWith(context, model.status());
}

grpc::ServerUnaryReactor* OipService::ModelInfer(
    grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
    grpc::ByteBuffer* response) {
  return StartCall(std::make_unique<OipCall>(environment_), environment_.clock,
                   context, request, response);
}

grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>*
OipService::ModelStreamInfer(grpc::CallbackServerContext* context) {
  return new Stream(this, context);
}

grpc::ServerUnaryReactor* OipService::ModelConfig(
    grpc::CallbackServerContext* context,
    const inference::ModelConfigRequest* request,
    inference::ModelConfigResponse* response) {
  const auto model =
      FindOipModel(environment_.models, request->name(), request->version());
  if (model.ok()) {
    *response->mutable_config() =
        OipModelConfig(**model, environment_.max_inputs);
  }
  return FinishWith(context, model.status());
}

grpc::ServerUnaryReactor* OipService::ModelStatistics(
    grpc::CallbackServerContext* context,
    const inference::ModelStatisticsRequest* request,
    inference::ModelStatisticsResponse* response) {
  auto statistics =
      OipModelStatistics(environment_.models, environment_.metrics,
                         request->name(), request->version());
  if (statistics.ok()) *response = *std::move(statistics);
  return FinishWith(context, statistics.status());
}

grpc::ServerUnaryReactor* OipService::RepositoryIndex(
    grpc::CallbackServerContext* context,
    const inference::RepositoryIndexRequest* request,
    inference::RepositoryIndexResponse* response) {
  *response = OipRepositoryIndex(environment_.models, health_.serving(),
                                 request->ready());
  return FinishWith(context, absl::OkStatus());
}

}  // namespace tern

#include "server/call_reactor.h"

#include <chrono>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/no_throw.h"
#include "server/status_mapping.h"
#include "server/wire_message.h"

namespace tern {
namespace {

// A client whose deadline passes cancels the call, and this may arrive before
// our own timer, which started when the call came, says the same.
constexpr absl::Duration kDeadlineTolerance = absl::Milliseconds(100);

// The value under a key of the client's metadata; empty without it.
absl::string_view Metadata(const grpc::CallbackServerContext& context,
                           absl::string_view key) {
  const auto& metadata = context.client_metadata();
  const auto found = metadata.find({key.data(), key.size()});
  if (found == metadata.end()) return {};
  return {found->second.data(), found->second.size()};
}

// A call that came by gRPC. Deletes itself when gRPC is done with it.
class Reactor final : public grpc::ServerUnaryReactor {
 public:
  Reactor(std::unique_ptr<Call> call, const Clock& clock,
          grpc::CallbackServerContext* context,
          grpc::ByteBuffer* response_bytes)
      : call_(std::move(call)),
        clock_(clock),
        context_(context),
        response_bytes_(response_bytes) {}

  // Runs on a thread of gRPC; the call may have ended when this returns.
  void Start(const grpc::ByteBuffer& bytes) {
    SetCaller(*context_, *call_);
    call_->Start(ReadMessage(bytes, *call_), DeadlineOf(*context_, clock_),
                 [this](const absl::Status& status) { End(status); });
  }

 private:
  void End(const absl::Status& ended) {
    const absl::Status status =
        ended.ok() ? NoThrow("the response could not be written",
                             [this] {
                               return SerializeMessage(
                                   call_->response_message(), *response_bytes_);
                             })
                   : ended;
    if (const auto delay = RetryDelay(status); delay.has_value()) {
      context_->AddTrailingMetadata(
          "grpc-retry-pushback-ms",
          absl::StrCat(absl::ToInt64Milliseconds(
              absl::Ceil(*delay, absl::Milliseconds(1)))));
    }
    if (const std::string report = call_->LoadReport(); !report.empty()) {
      context_->AddTrailingMetadata("endpoint-load-metrics-bin", report);
    }
    Finish(ToGrpcStatus(status));
  }

  void OnCancel() override {
    call_->Abandon(AwaitedAfterCancel(*context_, clock_));
  }

  void OnDone() override { delete this; }

  const std::unique_ptr<Call> call_;
  const Clock& clock_;
  grpc::CallbackServerContext* const context_;
  grpc::ByteBuffer* const response_bytes_;
};

}  // namespace

grpc::ServerUnaryReactor* StartCall(std::unique_ptr<Call> call,
                                    const Clock& clock,
                                    grpc::CallbackServerContext* context,
                                    const grpc::ByteBuffer* request,
                                    grpc::ByteBuffer* response) {
  auto* reactor = new Reactor(std::move(call), clock, context, response);
  reactor->Start(*request);
  return reactor;
}

absl::Status ReadMessage(const grpc::ByteBuffer& bytes, Call& call) {
  absl::Status room = call.CheckRoom(bytes.Length());
  if (!room.ok()) return room;
  return NoThrow("the message could not be read",
                 [&] { return ParseMessage(bytes, call.request_message()); });
}

void SetCaller(const grpc::CallbackServerContext& context, Call& call) {
  if (!call.tenant_key().empty()) {
    call.set_tenant(Metadata(context, call.tenant_key()));
  }
  call.set_traceparent(Metadata(context, kTraceparent));
}

absl::Time DeadlineOf(const grpc::CallbackServerContext& context,
                      const Clock& clock) {
  const auto deadline = context.deadline();
  if (deadline == std::chrono::system_clock::time_point::max()) {
    return absl::InfiniteFuture();
  }
  return clock.Now() +
         absl::FromChrono(deadline - std::chrono::system_clock::now());
}

Awaited AwaitedAfterCancel(const grpc::CallbackServerContext& context,
                           const Clock& clock) {
  const bool expired =
      clock.Now() + kDeadlineTolerance >= DeadlineOf(context, clock);
  return expired ? Awaited::kExpired : Awaited::kCancelled;
}

}  // namespace tern

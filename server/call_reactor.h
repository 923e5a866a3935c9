// What brings a Call over gRPC: from bytes to bytes.
//
// A handler makes the call and hands it over here; gRPC's threads start it,
// workers end it.

#ifndef TERN_SERVER_CALL_REACTOR_H_
#define TERN_SERVER_CALL_REACTOR_H_

#include <memory>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/server_callback.h"
#include "server/call.h"
#include "server/clock.h"
#include "server/request.h"

namespace tern {

// Starts `call` on the bytes of its message and answers with those of its
// response, or with its error. `clock` and `context` outlive the call.
grpc::ServerUnaryReactor* StartCall(std::unique_ptr<Call> call,
                                    const Clock& clock,
                                    grpc::CallbackServerContext* context,
                                    const grpc::ByteBuffer* request,
                                    grpc::ByteBuffer* response);

// Reads from the metadata who calls and in which trace; before Call::Start.
void SetCaller(const grpc::CallbackServerContext& context, Call& call);
// Reads a message into the call, if the queue has room for it: what to Start it
// with. After SetCaller, since tenants have rooms of their own.
absl::Status ReadMessage(const grpc::ByteBuffer& bytes, Call& call);

// gRPC's deadline on our clock.
absl::Time DeadlineOf(const grpc::CallbackServerContext& context,
                      const Clock& clock);

// Why nobody awaits a call any more that gRPC reports as cancelled.
Awaited AwaitedAfterCancel(const grpc::CallbackServerContext& context,
                           const Clock& clock);

}  // namespace tern

#endif  // TERN_SERVER_CALL_REACTOR_H_

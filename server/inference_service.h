// Classify, Answer and Embed: the handlers of tern.v1.InferenceService.
//
// A handler starts a Call, on one of gRPC's threads, and sends its reply when
// a worker has ended it. The rest of the request's way is in call.h.
//
// Thread-safe.

#ifndef TERN_SERVER_INFERENCE_SERVICE_H_
#define TERN_SERVER_INFERENCE_SERVICE_H_

#include "server/call.h"
#include "tern/v1/inference_service.grpc.pb.h"

namespace tern {

// Handlers take bytes rather than messages: see wire_message.h.
using InferenceServiceBase =
    v1::InferenceService::WithRawCallbackMethod_Classify<
        v1::InferenceService::WithRawCallbackMethod_Answer<
            v1::InferenceService::WithRawCallbackMethod_Embed<
                v1::InferenceService::Service>>>;

class InferenceService final : public InferenceServiceBase {
 public:
  explicit InferenceService(const CallEnvironment& environment)
      : environment_(environment) {}

  grpc::ServerUnaryReactor* Classify(grpc::CallbackServerContext* context,
                                     const grpc::ByteBuffer* request,
                                     grpc::ByteBuffer* response) override;
  grpc::ServerUnaryReactor* Answer(grpc::CallbackServerContext* context,
                                   const grpc::ByteBuffer* request,
                                   grpc::ByteBuffer* response) override;
  grpc::ServerUnaryReactor* Embed(grpc::CallbackServerContext* context,
                                  const grpc::ByteBuffer* request,
                                  grpc::ByteBuffer* response) override;

 private:
  const CallEnvironment environment_;
};

}  // namespace tern

#endif  // TERN_SERVER_INFERENCE_SERVICE_H_

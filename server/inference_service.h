// Classify and Answer: the handlers of tern.v1.InferenceService.
//
// A handler checks a request, encodes its texts and queues it (here, on one of
// gRPC's threads), and returns; a worker's `done` turns the logits into the
// reply and finishes the call.
//
// Thread-safe.

#ifndef TERN_SERVER_INFERENCE_SERVICE_H_
#define TERN_SERVER_INFERENCE_SERVICE_H_

#include "server/clock.h"
#include "server/metrics.h"
#include "server/model_registry.h"
#include "server/scheduler.h"
#include "tern/v1/inference_service.grpc.pb.h"

namespace tern {

// Handlers take bytes rather than messages: see wire_message.h.
using InferenceServiceBase =
    v1::InferenceService::WithRawCallbackMethod_Classify<
        v1::InferenceService::WithRawCallbackMethod_Answer<
            v1::InferenceService::Service>>;

class InferenceService final : public InferenceServiceBase {
 public:
  struct Options {
    int max_inputs = 1024;  // per call
  };

  // The pointers outlive the service.
  InferenceService(const Options& options, const Clock* clock,
                   const ModelRegistry* models, Scheduler* scheduler,
                   Metrics* metrics);

  grpc::ServerUnaryReactor* Classify(grpc::CallbackServerContext* context,
                                     const grpc::ByteBuffer* request,
                                     grpc::ByteBuffer* response) override;
  grpc::ServerUnaryReactor* Answer(grpc::CallbackServerContext* context,
                                   const grpc::ByteBuffer* request,
                                   grpc::ByteBuffer* response) override;

 private:
  const Options options_;
  const Clock* const clock_;
  const ModelRegistry* const models_;
  Scheduler* const scheduler_;
  Metrics* const metrics_;
};

}  // namespace tern

#endif  // TERN_SERVER_INFERENCE_SERVICE_H_

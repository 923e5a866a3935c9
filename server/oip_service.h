// inference.GRPCInferenceService: the Open Inference Protocol over gRPC.
//
// Thread-safe.

#ifndef TERN_SERVER_OIP_SERVICE_H_
#define TERN_SERVER_OIP_SERVICE_H_

#include <mutex>
#include <set>
#include <string>

#include "absl/base/thread_annotations.h"
#include "inference/grpc_inference_service.grpc.pb.h"
#include "server/call.h"
#include "server/health_service.h"

namespace tern {

// Inference takes bytes rather than messages: see wire_message.h. gRPC's
// CallbackService is the same without that, and cannot have it for a stream.
using Oip = inference::GRPCInferenceService;
using OipServiceBase = Oip::WithRawCallbackMethod_ModelInfer<
    Oip::WithRawCallbackMethod_ModelStreamInfer<Oip::WithCallbackMethod_ServerLive<
        Oip::WithCallbackMethod_ServerReady<Oip::WithCallbackMethod_ModelReady<
            Oip::WithCallbackMethod_ServerMetadata<
                Oip::WithCallbackMethod_ModelMetadata<
                    Oip::WithCallbackMethod_ModelConfig<
                        Oip::WithCallbackMethod_ModelStatistics<
                            Oip::WithCallbackMethod_RepositoryIndex<
                                Oip::WithCallbackMethod_RepositoryModelLoad<
                                    Oip::
                                        WithCallbackMethod_RepositoryModelUnload<
                                            Oip::Service>>>>>>>>>>>>;

class OipService final : public OipServiceBase {
 public:
  // `health`, which outlives this, says whether the server is ready.
  OipService(const CallEnvironment& environment, HealthService* health)
      : environment_(environment), health_(*health) {}

  // Ends all streams once what they have sent is answered, and each later one
  // at once.
  void EndStreams();

  grpc::ServerUnaryReactor* ServerLive(
      grpc::CallbackServerContext* context,
      const inference::ServerLiveRequest* request,
      inference::ServerLiveResponse* response) override;
  grpc::ServerUnaryReactor* ServerReady(
      grpc::CallbackServerContext* context,
      const inference::ServerReadyRequest* request,
      inference::ServerReadyResponse* response) override;
  grpc::ServerUnaryReactor* ModelReady(
      grpc::CallbackServerContext* context,
      const inference::ModelReadyRequest* request,
      inference::ModelReadyResponse* response) override;
  grpc::ServerUnaryReactor* ServerMetadata(
      grpc::CallbackServerContext* context,
      const inference::ServerMetadataRequest* request,
      inference::ServerMetadataResponse* response) override;
  grpc::ServerUnaryReactor* ModelMetadata(
      grpc::CallbackServerContext* context,
      const inference::ModelMetadataRequest* request,
      inference::ModelMetadataResponse* response) override;
  grpc::ServerUnaryReactor* ModelInfer(grpc::CallbackServerContext* context,
                                       const grpc::ByteBuffer* request,
                                       grpc::ByteBuffer* response) override;
  grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* ModelStreamInfer(
      grpc::CallbackServerContext* context) override;
  grpc::ServerUnaryReactor* ModelConfig(
      grpc::CallbackServerContext* context,
      const inference::ModelConfigRequest* request,
      inference::ModelConfigResponse* response) override;
  grpc::ServerUnaryReactor* ModelStatistics(
      grpc::CallbackServerContext* context,
      const inference::ModelStatisticsRequest* request,
      inference::ModelStatisticsResponse* response) override;
  grpc::ServerUnaryReactor* RepositoryIndex(
      grpc::CallbackServerContext* context,
      const inference::RepositoryIndexRequest* request,
      inference::RepositoryIndexResponse* response) override;

 private:
  class Stream;

  const CallEnvironment environment_;
  HealthService& health_;

  // Each stream has a mutex of its own, which is taken after this one.
  std::mutex mutex_;
  bool streams_ended_ ABSL_GUARDED_BY(mutex_) = false;
  std::set<Stream*> streams_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tern

#endif  // TERN_SERVER_OIP_SERVICE_H_

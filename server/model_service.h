// ListModels and GetModel: the handlers of tern.v1.ModelService.
//
// Thread-safe.

#ifndef TERN_SERVER_MODEL_SERVICE_H_
#define TERN_SERVER_MODEL_SERVICE_H_

#include "server/model_registry.h"
#include "tern/v1/model_service.grpc.pb.h"

namespace tern {

// What tern.v1 says about a model.
v1::Model ToProto(const ServedModel& model);

class ModelService final : public v1::ModelService::CallbackService {
 public:
  // `models` outlives the service.
  explicit ModelService(const ModelRegistry* models) : models_(models) {}

  grpc::ServerUnaryReactor* ListModels(
      grpc::CallbackServerContext* context,
      const v1::ListModelsRequest* request,
      v1::ListModelsResponse* response) override;
  grpc::ServerUnaryReactor* GetModel(grpc::CallbackServerContext* context,
                                     const v1::GetModelRequest* request,
                                     v1::GetModelResponse* response) override;

 private:
  const ModelRegistry* const models_;
};

}  // namespace tern

#endif  // TERN_SERVER_MODEL_SERVICE_H_

// The model repository extension of the Open Inference Protocol, for operators:
// loading and unloading models, and an index that says why versions are
// refused. Served on a port of its own (--admin-listen); Triton's clients speak
// it.
//
// Calls last as long as a load, on gRPC's threads for this port.
//
// Thread-safe.

#ifndef TERN_SERVER_ADMIN_SERVICE_H_
#define TERN_SERVER_ADMIN_SERVICE_H_

#include "inference/grpc_inference_service.grpc.pb.h"
#include "server/health_service.h"
#include "server/model_registry.h"
#include "server/model_repository.h"

namespace tern {

class AdminService final : public inference::GRPCInferenceService::Service {
 public:
  // All outlive the service.
  AdminService(const ModelRegistry* models, HealthService* health,
               ModelRepository* repository)
      : models_(*models), health_(*health), repository_(*repository) {}

  grpc::Status RepositoryIndex(
      grpc::ServerContext* context,
      const inference::RepositoryIndexRequest* request,
      inference::RepositoryIndexResponse* response) override;
  grpc::Status RepositoryModelLoad(
      grpc::ServerContext* context,
      const inference::RepositoryModelLoadRequest* request,
      inference::RepositoryModelLoadResponse* response) override;
  grpc::Status RepositoryModelUnload(
      grpc::ServerContext* context,
      const inference::RepositoryModelUnloadRequest* request,
      inference::RepositoryModelUnloadResponse* response) override;

 private:
  const ModelRegistry& models_;
  HealthService& health_;
  ModelRepository& repository_;
};

}  // namespace tern

#endif  // TERN_SERVER_ADMIN_SERVICE_H_

#include "server/admin_service.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "server/oip_model.h"
#include "server/status_mapping.h"

namespace tern {
namespace {

// Parameters would change a model's configuration, which we take as it is.
template <typename Request>
absl::Status CheckNoParameters(const Request& request) {
  if (request.parameters().empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("parameters: expected none, found '",
                   request.parameters().begin()->first, "'"));
}

}  // namespace

grpc::Status AdminService::RepositoryIndex(
    grpc::ServerContext* context,
    const inference::RepositoryIndexRequest* request,
    inference::RepositoryIndexResponse* response) {
  *response = OipRepositoryIndex(models_, health_.serving(), request->ready());
  if (request->ready()) return grpc::Status::OK;
  for (const ModelRepository::Refused& refused : repository_.AllRefused()) {
    auto& entry = *response->add_models();
    entry.set_name(refused.name);
    entry.set_version(refused.version);
    entry.set_state("UNAVAILABLE");
    entry.set_reason(refused.reason);
  }
  return grpc::Status::OK;
}

grpc::Status AdminService::RepositoryModelLoad(
    grpc::ServerContext* context,
    const inference::RepositoryModelLoadRequest* request,
    inference::RepositoryModelLoadResponse* response) {
  absl::Status status = CheckNoParameters(*request);
  if (status.ok()) status = repository_.Load(request->model_name());
  return ToGrpcStatus(status);
}

grpc::Status AdminService::RepositoryModelUnload(
    grpc::ServerContext* context,
    const inference::RepositoryModelUnloadRequest* request,
    inference::RepositoryModelUnloadResponse* response) {
  return ToGrpcStatus(repository_.Unload(request->model_name()));
}

}  // namespace tern

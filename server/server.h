// All of the server, put together: from options to serving to the end.
//
// One thread: whoever started it drains it.

#ifndef TERN_SERVER_SERVER_H_
#define TERN_SERVER_SERVER_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "grpcpp/server.h"
#include "server/acceptor.h"
#include "server/admin_service.h"
#include "server/clock.h"
#include "server/core_budget.h"
#include "server/credentials.h"
#include "server/health_service.h"
#include "server/http_gateway.h"
#include "server/http_server.h"
#include "server/inference_service.h"
#include "server/load_meter.h"
#include "server/memory_trimmer.h"
#include "server/metrics.h"
#include "server/model_registry.h"
#include "server/model_repository.h"
#include "server/model_service.h"
#include "server/oip_service.h"
#include "server/options.h"
#include "server/scheduler.h"
#include "server/watchdog.h"
#include "server/worker.h"

namespace tern {

class Server {
 public:
  // Loads the models, starts the workers and serves. `options` are as
  // ParseOptions makes them.
  // Errors: those of LoadServedModel, ModelRepository::LoadAll and
  // Credentials::Load; FAILED_PRECONDITION without a model; UNAVAILABLE for an
  // address that it cannot listen on.
  static absl::StatusOr<std::unique_ptr<Server>> Start(const Options& options);
  // Drains without the lame-duck wait if Drain was not called.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Host and port that gRPC listens on; and HTTP, /metrics and the admin
  // service (empty: nowhere).
  const std::string& address() const { return address_; }
  const std::string& http_address() const { return http_address_; }
  const std::string& metrics_address() const { return metrics_address_; }
  const std::string& admin_address() const { return admin_address_; }

  // Ends serving: health says NOT_SERVING, requests are taken for the
  // lame-duck time still, then connections are told to go away, and all that
  // was accepted is answered. What has not ended after the drain timeout is
  // cancelled.
  void Drain();

  // The parts, for tests.
  Scheduler& scheduler() { return scheduler_; }
  CoreBudget& cores() { return cores_; }
  Metrics& metrics() { return metrics_; }
  Credentials& credentials() { return *credentials_; }
  const ModelRegistry& models() const { return models_; }

 private:
  explicit Server(const Options& options);
  absl::Status LoadModels();
  absl::Status LoadRepository();
  // Says in log and metrics what became of a load.
  void ReportLoad(
      const ModelSource& source,
      const absl::StatusOr<std::shared_ptr<const ServedModel>>& model);
  // Tells metrics and health which models are served.
  void AnnounceModels();
  absl::Status Listen();
  absl::Status ListenForHttp();
  absl::Status ListenForAdmin();
  void StartWorkers();
  void WatchWorkers();
  void StopServing(absl::Duration timeout);

  const Options options_;
  // In this order: each uses those above it.
  MonotonicClock clock_;
  ModelRegistry models_;
  Scheduler scheduler_;
  Metrics metrics_;
  CoreBudget cores_;
  LoadMeter load_meter_;
  CallLog call_log_;
  std::vector<std::unique_ptr<Worker>> workers_;
  const CallEnvironment call_environment_;
  InferenceService inference_service_;
  ModelService model_service_;
  HealthService health_service_;
  OipService oip_service_;
  HttpGateway http_gateway_;
  std::unique_ptr<Credentials> credentials_;
  std::unique_ptr<ModelRepository> repository_;  // null: none
  std::unique_ptr<AdminService> admin_service_;  // null: off
  std::unique_ptr<grpc::Server> admin_server_;   // likewise
  std::unique_ptr<grpc::Server> grpc_server_;
  std::unique_ptr<Acceptor> acceptor_;  // for it
  std::unique_ptr<Watchdog> watchdog_;
  std::unique_ptr<MemoryTrimmer> memory_trimmer_;
  std::unique_ptr<HttpServer> http_server_;  // null: off
  std::string address_;
  std::string http_address_;
  std::string metrics_address_;
  std::string admin_address_;
};

}  // namespace tern

#endif  // TERN_SERVER_SERVER_H_

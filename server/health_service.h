// grpc.health.v1: whether the server, or one of its services or models, takes
// requests. Models are services, too: "models/NAME" and "models/NAME/VERSION".
//
// gRPC's own implementation has no List and leaves its Watch streams open, for
// which a draining server would wait; hence this one.
//
// Thread-safe.

#ifndef TERN_SERVER_HEALTH_SERVICE_H_
#define TERN_SERVER_HEALTH_SERVICE_H_

#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "grpc/health/v1/health.grpc.pb.h"

namespace tern {

class HealthService final : public grpc::health::v1::Health::CallbackService {
 public:
  // `services` are full names; the empty name, for the server as a whole, is
  // among them by itself. All are NOT_SERVING at first.
  explicit HealthService(const std::vector<std::string>& services);

  // Sets all services; tells those that watch.
  void SetServing(bool serving);
  bool serving();
  // Sets which models there are, by those names; tells those that watch.
  void SetModels(std::set<std::string> models);
  // Ends all Watch streams, and each later one after its first message.
  void EndWatches();

  grpc::ServerUnaryReactor* Check(
      grpc::CallbackServerContext* context,
      const grpc::health::v1::HealthCheckRequest* request,
      grpc::health::v1::HealthCheckResponse* response) override;
  grpc::ServerUnaryReactor* List(
      grpc::CallbackServerContext* context,
      const grpc::health::v1::HealthListRequest* request,
      grpc::health::v1::HealthListResponse* response) override;
  grpc::ServerWriteReactor<grpc::health::v1::HealthCheckResponse>* Watch(
      grpc::CallbackServerContext* context,
      const grpc::health::v1::HealthCheckRequest* request) override;

 private:
  using ServingStatus = grpc::health::v1::HealthCheckResponse::ServingStatus;
  class Watcher;

  // SERVICE_UNKNOWN for other services.
  ServingStatus StatusOf(const std::string& service) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  std::set<std::string> services_;  // constant after construction

  // Held while a stream is written to: gRPC calls back on other stacks.
  std::mutex mutex_;
  bool serving_ ABSL_GUARDED_BY(mutex_) = false;
  bool watches_ended_ ABSL_GUARDED_BY(mutex_) = false;
  std::set<std::string> models_ ABSL_GUARDED_BY(mutex_);
  std::set<Watcher*> watchers_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tern

#endif  // TERN_SERVER_HEALTH_SERVICE_H_

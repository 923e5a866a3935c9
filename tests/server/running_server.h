// A real server on a free port with two tiny models, and a client of it.

#ifndef TERN_TESTS_SERVER_RUNNING_SERVER_H_
#define TERN_TESTS_SERVER_RUNNING_SERVER_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "grpcpp/grpcpp.h"
#include "server/server.h"
#include "tern/v1/inference_service.grpc.pb.h"
#include "tern/v1/model_service.grpc.pb.h"

namespace tern {

struct RunningServer {
  // Serves "classifier" (3 labels) and "answerer". `change` may change the
  // options first.
  explicit RunningServer(const std::function<void(Options&)>& change =
                             [](Options&) {});

  // Keeps every core, so that requests wait in the queue until it is released.
  std::vector<CoreBudget::Lease> HoldAllCores();
  // Waits until this many requests have been accepted since the start.
  void AwaitAccepted(int64_t requests);

  // Waits until every accepted request has ended.
  Scheduler::Counts AwaitNoneInFlight();

  std::unique_ptr<Server> server;
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<v1::InferenceService::Stub> inference;
  std::unique_ptr<v1::ModelService::Stub> models;
};

// The folder of a tiny model in the tests' temporary folder, written once.
std::string TinyFolder(const std::string& name);

v1::ClassifyRequest MakeClassify(const std::vector<std::string>& texts);

}  // namespace tern

#endif  // TERN_TESTS_SERVER_RUNNING_SERVER_H_

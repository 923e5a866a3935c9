// A tern.v1 server without models, for tests of the client: it labels and
// answers by simple rules and fails on request.

#ifndef TERN_TESTS_CLIENT_FAKE_SERVER_H_
#define TERN_TESTS_CLIENT_FAKE_SERVER_H_

#include <grpcpp/grpcpp.h>

#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "tern/v1/inference_service.grpc.pb.h"
#include "tern/v1/model_service.grpc.pb.h"

namespace tern {

// How one call fails.
struct Failure {
  grpc::StatusCode code = grpc::StatusCode::UNAVAILABLE;
  std::string message;
  // Sent as grpc-retry-pushback-ms unless empty.
  std::string pushback_ms = {};
};

// Serves on a free port of 127.0.0.1, one model "fake" that does everything:
// a text's label is "long" with its bytes / 100 as score, or "short"; a
// question's answer is the first word of its context; a text's vector is its
// bytes, 1/3 and -1, the latter two halved unless normalized.
//
// Thread-safe.
class FakeServer final : public v1::InferenceService::Service,
                         public v1::ModelService::Service {
 public:
  explicit FakeServer(std::shared_ptr<grpc::ServerCredentials> credentials =
                          grpc::InsecureServerCredentials());
  ~FakeServer() override;

  std::string target() const { return target_; }
  // A call to Classify or Answer takes the next of these, if there is one.
  void FailNext(std::vector<Failure> failures);
  // Every call to Classify waits this long, or until it is cancelled.
  void DelayBy(absl::Duration delay);
  void SetServing(bool serving);

  std::vector<absl::Time> call_times() const;  // of Classify and Answer
  int max_concurrent_calls() const;
  int max_inputs() const;  // largest Classify call
  // Of the last Classify call; empty without one.
  std::string user_agent() const;
  std::string authorization() const;

 private:
  grpc::Status Classify(grpc::ServerContext* context,
                        const v1::ClassifyRequest* request,
                        v1::ClassifyResponse* response) override;
  grpc::Status Answer(grpc::ServerContext* context,
                      const v1::AnswerRequest* request,
                      v1::AnswerResponse* response) override;
  grpc::Status Embed(grpc::ServerContext* context,
                     const v1::EmbedRequest* request,
                     v1::EmbedResponse* response) override;
  grpc::Status ListModels(grpc::ServerContext* context,
                          const v1::ListModelsRequest* request,
                          v1::ListModelsResponse* response) override;
  grpc::Status GetModel(grpc::ServerContext* context,
                        const v1::GetModelRequest* request,
                        v1::GetModelResponse* response) override;

  // Counts the call; returns its failure or OK.
  grpc::Status Begin(grpc::ServerContext* context);
  void Delay(grpc::ServerContext* context);

  std::string target_;
  std::unique_ptr<grpc::Server> server_;
  mutable std::mutex mutex_;
  std::deque<Failure> failures_ ABSL_GUARDED_BY(mutex_);
  absl::Duration delay_ ABSL_GUARDED_BY(mutex_) = absl::ZeroDuration();
  std::vector<absl::Time> call_times_ ABSL_GUARDED_BY(mutex_);
  int concurrent_calls_ ABSL_GUARDED_BY(mutex_) = 0;
  int max_concurrent_calls_ ABSL_GUARDED_BY(mutex_) = 0;
  int max_inputs_ ABSL_GUARDED_BY(mutex_) = 0;
  std::string user_agent_ ABSL_GUARDED_BY(mutex_);
  std::string authorization_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tern

#endif  // TERN_TESTS_CLIENT_FAKE_SERVER_H_

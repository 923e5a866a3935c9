// What happens to the servers of a soak, again and again: models come and go,
// certificates and tokens are rotated, a server is restarted.
//
// One thread.

#ifndef TERN_TESTS_END_TO_END_SOAK_EVENTS_H_
#define TERN_TESTS_END_TO_END_SOAK_EVENTS_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "inference/grpc_inference_service.grpc.pb.h"
#include "tests/end_to_end/server_process.h"
#include "tests/end_to_end/soak_traffic.h"
#include "tests/server/certificates.h"

namespace tern {

class SoakEvents {
 public:
  // Starts two servers with the models that SoakTraffic asks; `classifier` is
  // the folder of one.
  // Errors: those of ServerProcess::Start.
  absl::Status Start(const std::string& classifier);

  const SoakTarget& target() const { return target_; }
  // The one that is never restarted.
  ServerProcess& watched() { return *watched_; }

  // Lets the next event happen and waits until the servers have taken it in.
  // Its name, and what went wrong.
  std::pair<absl::string_view, absl::Status> Next();

  // Ends both servers. Errors: INTERNAL where they do not exit with 0.
  absl::Status Stop();

 private:
  absl::StatusOr<std::unique_ptr<ServerProcess>> StartServer(
      const std::string& listen) const;
  std::string Path(absl::string_view name) const;
  void PutVersion(int version) const;
  void RemoveVersion(int version) const;
  void WriteTokens() const;
  absl::StatusOr<double> Metric(const std::string& sample) const;
  // Waits until that counter of the watched server is one more than `before`.
  absl::Status AwaitOneMore(const std::string& sample, double before) const;
  absl::Status LoadGuest(bool load) const;

  absl::Status SwapModel();
  absl::Status RefuseBrokenModel();
  absl::Status LoadAndUnloadByRpc();
  absl::Status RotateCertificate();
  absl::Status RotateTokens();
  absl::Status RestartServer();

  TemporaryFolder folder_;
  std::string classifier_;
  KeyPair authority_;
  std::string passing_token_;  // of the tokens that come and go
  std::string metrics_token_;
  int version_ = 1;
  size_t events_ = 0;
  SoakTarget target_;
  std::unique_ptr<ServerProcess> watched_;
  std::unique_ptr<ServerProcess> restarted_;
};

}  // namespace tern

#endif  // TERN_TESTS_END_TO_END_SOAK_EVENTS_H_

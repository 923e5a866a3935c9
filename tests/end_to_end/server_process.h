// A real tern-server with its own ports, for tests that speak to it from
// outside.
//
// One thread, but for the targets.

#ifndef TERN_TESTS_END_TO_END_SERVER_PROCESS_H_
#define TERN_TESTS_END_TO_END_SERVER_PROCESS_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/client.h"
#include "tests/end_to_end/child_process.h"

namespace tern {

// A folder of its own below the test's temporary folder; removed at the end.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

class ServerProcess {
 public:
  // Starts tern-server with `flags` (its models among them) on free ports of
  // 127.0.0.1 and waits until it is SERVING, as a client with `options` sees.
  // Errors: UNAVAILABLE with its log where it ended, or did not get there in
  // 60 s.
  static absl::StatusOr<std::unique_ptr<ServerProcess>> Start(
      const std::vector<std::string>& flags,
      const ClientOptions& options = {.retry = false});

  const std::string& target() const { return target_; }
  const std::string& metrics_target() const { return metrics_target_; }
  // Of HTTP/JSON and of the admin service; empty where the flags have none.
  const std::string& http_target() const { return http_target_; }
  const std::string& admin_target() const { return admin_target_; }
  // From exec to SERVING, within the 5 ms of looking.
  absl::Duration start_time() const { return start_time_; }
  ChildProcess& process() { return *process_; }

  std::unique_ptr<Client> NewClient(const ClientOptions& options) const;

  // Ends it by SIGTERM and waits. Its exit code; 0 is a full drain.
  int Stop();

 private:
  ServerProcess() = default;
  absl::Status WaitUntilServing(const ClientOptions& options);

  TemporaryFolder folder_;  // for its log
  std::unique_ptr<ChildProcess> process_;
  std::string target_;
  std::string metrics_target_;
  std::string http_target_;
  std::string admin_target_;
  absl::Duration start_time_;
};

// What a Prometheus page says: "name{labels}" -> value.
using Samples = std::map<std::string, double>;
// `token` is what a server with tokens wants to see; empty: none.
absl::StatusOr<Samples> ReadMetrics(const std::string& metrics_target,
                                    const std::string& token = "");
// Sum of the samples of a name over all labels; 0 where there is none.
double Total(const Samples& samples, const std::string& name);

}  // namespace tern

#endif  // TERN_TESTS_END_TO_END_SERVER_PROCESS_H_

// Who may call the server, and how it shows who it is: TLS and tokens, read
// from files, and read again when these change.
//
// A file that is bad at the start is an error; one that becomes bad is logged,
// and what was read before stays in use.
//
// Thread-safe.

#ifndef TERN_SERVER_CREDENTIALS_H_
#define TERN_SERVER_CREDENTIALS_H_

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "grpcpp/security/server_credentials.h"
#include "server/metrics.h"
#include "server/tls.h"

namespace tern {

class Credentials {
 public:
  struct Options {
    TlsFiles tls = {};
    std::string tokens_file = {};  // empty: everybody may do everything
    absl::Duration period = absl::Seconds(1);  // between looks at the files
  };

  // `metrics` outlives what is made here. Errors: those of ReadTls and
  // Tokens::Parse; NOT_FOUND for a file that cannot be read.
  static absl::StatusOr<std::unique_ptr<Credentials>> Load(
      const Options& options, Metrics* metrics);
  ~Credentials();
  Credentials(const Credentials&) = delete;
  Credentials& operator=(const Credentials&) = delete;

  // For one address that gRPC listens on.
  std::shared_ptr<grpc::ServerCredentials> ForGrpc() const;

  // Whether an HTTP request may be handled: OK, UNAUTHENTICATED or
  // PERMISSION_DENIED. `authorization` is its header, empty without one.
  absl::Status CheckHttp(absl::string_view path,
                         absl::string_view authorization) const;

  // Says whether a password, which is a token, lets read the metrics. Null:
  // nobody needs one.
  std::function<bool(const std::string&)> MetricsPasswords() const;

  // Looks at the files now.
  void Reload();

 private:
  // What callers on other threads use; it may outlive the rest.
  class Current;

  Credentials(const Options& options, Metrics* metrics);
  absl::Status ReloadTls() ABSL_EXCLUSIVE_LOCKS_REQUIRED(reload_mutex_);
  absl::Status ReloadTokens() ABSL_EXCLUSIVE_LOCKS_REQUIRED(reload_mutex_);
  void Report(absl::string_view what, const absl::Status& status,
              std::string& last_error)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(reload_mutex_);
  void Run();

  const Options options_;
  Metrics& metrics_;
  const std::shared_ptr<Current> current_;

  std::mutex reload_mutex_;
  // Messages of what is wrong with the files now; logged once.
  std::string tls_error_ ABSL_GUARDED_BY(reload_mutex_);
  std::string tokens_error_ ABSL_GUARDED_BY(reload_mutex_);

  std::mutex mutex_;
  std::condition_variable stop_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace tern

#endif  // TERN_SERVER_CREDENTIALS_H_

#include "server/library_logs.h"

#include <string>

#include "absl/time/time.h"
#include "google/protobuf/stubs/logging.h"
#include "grpc/support/log.h"
#include "server/clock.h"
#include "server/line_limiter.h"
#include "server/log.h"

namespace tern {
namespace {

// Whoever reaches the port can make gRPC complain: by a handshake that fails,
// say. That must not fill the disk.
constexpr int kErrorLines = 10;
constexpr absl::Duration kErrorPeriod = absl::Seconds(10);

void LogGrpc(gpr_log_func_args* args) {
  if (args->severity != GPR_LOG_SEVERITY_ERROR) {
    Log(LogLevel::kDebug, "grpc", {{"message", std::string(args->message)}});
    return;
  }
  static LineLimiter errors(kErrorLines, kErrorPeriod);
  const auto dropped = errors.Admit(MonotonicClock().Now());
  if (!dropped.has_value()) return;
  LogFields fields = {{"message", std::string(args->message)}};
  if (*dropped > 0) fields["errors_not_logged"] = *dropped;
  Log(LogLevel::kError, "grpc", fields);
}

void LogProtobuf(google::protobuf::LogLevel level, const char* file, int line,
                 const std::string& message) {
  Log(level == google::protobuf::LOGLEVEL_FATAL ? LogLevel::kError
                                                : LogLevel::kDebug,
      "protobuf", {{"message", message}});
}

}  // namespace

void RouteLibraryLogs() {
  gpr_set_log_function(LogGrpc);
  google::protobuf::SetLogHandler(LogProtobuf);
}

}  // namespace tern

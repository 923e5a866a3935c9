// The server's command line.

#ifndef TERN_SERVER_OPTIONS_H_
#define TERN_SERVER_OPTIONS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "server/call_log.h"
#include "server/log.h"
#include "server/model_registry.h"
#include "server/tenant_quotas.h"
#include "server/tls.h"

namespace tern {

struct Options {
  bool help = false;     // print HelpText() and exit; nothing else was checked
  bool version = false;  // print the version and exit; the same

  std::vector<ModelSource> models;  // of different names or versions
  std::string model_repository;     // empty: none; then there are models
  absl::Duration repository_poll = absl::Seconds(2);
  bool verify_checksums = true;

  std::string listen;          // host:port
  std::string metrics_listen;  // host:port, or empty for none
  std::string http_listen;     // likewise
  std::string admin_listen;    // likewise; of this machine
  TlsFiles tls;
  std::string tokens_file;  // empty: everybody may do everything
  int max_message_bytes = 0;
  int max_inputs = 0;

  int workers = 0;
  int threads = 0;  // most per batch
  int max_batch_tokens = 0;
  int max_waiting_requests = 0;
  int64_t max_waiting_tokens = 0;
  int64_t max_waiting_bytes = 0;
  std::string tenant_key;  // of metadata; empty: clients are not told apart
  double tenant_share = 1;
  TenantQuotas::Options tenant_quotas;
  bool load_reports = false;

  absl::Duration stuck_after = absl::Minutes(1);
  absl::Duration max_connection_age = absl::Hours(1);
  absl::Duration lame_duck;
  absl::Duration drain_timeout;

  LogFormat log_format = LogFormat::kText;
  LogLevel log_level = LogLevel::kInfo;
  CallLogOptions call_log;
};

// Reads a command line without the program's name. Flags are --name=value or
// --name value, with - or _ within names; --model may be repeated.
// Errors: INVALID_ARGUMENT or NOT_FOUND naming the flag, what was expected and
// what was found.
absl::StatusOr<Options> ParseOptions(
    absl::Span<const absl::string_view> arguments);

// name=folder[,precision=fp32|int8|ternary][,version=...]
absl::StatusOr<ModelSource> ParseModelSource(absl::string_view text);

// All flags with their defaults.
std::string HelpText();

}  // namespace tern

#endif  // TERN_SERVER_OPTIONS_H_

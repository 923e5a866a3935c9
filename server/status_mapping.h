// absl::Status to grpc::Status, details included.
//
// Everything behind the handlers speaks absl::Status; a handler turns it into
// what goes over the wire here and nowhere else.

#ifndef TERN_SERVER_STATUS_MAPPING_H_
#define TERN_SERVER_STATUS_MAPPING_H_

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "grpcpp/support/status.h"

namespace tern {

// RESOURCE_EXHAUSTED that carries google.rpc.RetryInfo with `retry_delay` and
// google.rpc.ErrorInfo with the reason QUEUE_FULL.
absl::Status QueueFullError(absl::string_view message,
                            absl::Duration retry_delay);

// Likewise, with the reason QUOTA_EXCEEDED.
absl::Status QuotaExceededError(absl::string_view message,
                                absl::Duration retry_delay);

// The delay of one of these two; none for any other status.
std::optional<absl::Duration> RetryDelay(const absl::Status& status);

// The same code and message; RetryInfo and the like become the
// google.rpc.Status that gRPC sends in `grpc-status-details-bin`.
grpc::Status ToGrpcStatus(const absl::Status& status);

// Whether it is a QuotaExceededError.
bool IsQuotaExceeded(const absl::Status& status);

// "OK", "INVALID_ARGUMENT", ..., as metrics name codes.
std::string StatusCodeName(absl::StatusCode code);

// `prefix` and ": " in front of an error's message; payloads are kept.
absl::Status Annotate(const absl::Status& status, absl::string_view prefix);

}  // namespace tern

#endif  // TERN_SERVER_STATUS_MAPPING_H_

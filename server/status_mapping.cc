#include "server/status_mapping.h"

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/any.pb.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "tokenizer/utf8.h"

namespace tern {
namespace {

constexpr absl::string_view kQuotaExceeded = "QUOTA_EXCEEDED";
constexpr absl::string_view kTypeUrlPrefix = "type.googleapis.com/";

std::string TypeUrl(const google::protobuf::Message& message) {
  return absl::StrCat(kTypeUrlPrefix, message.GetDescriptor()->full_name());
}

void Attach(const google::protobuf::Message& detail, absl::Status& status) {
  status.SetPayload(TypeUrl(detail), absl::Cord(detail.SerializeAsString()));
}

// Trailers have little room: clients take a status of more than 8 KiB for
// RESOURCE_EXHAUSTED.
std::string Shortened(absl::string_view message) {
  constexpr size_t kMostBytes = 1024;
  if (message.size() <= kMostBytes) return std::string(message);
  message = message.substr(0, kMostBytes);
  const size_t cut = FindInvalidUtf8(message);  // within a character
  return absl::StrCat(message.substr(0, cut), "...");
}

absl::Status ExhaustedError(absl::string_view message, absl::string_view reason,
                            absl::Duration retry_delay) {
  absl::Status status = absl::ResourceExhaustedError(message);
  google::rpc::RetryInfo retry;
  const int64_t seconds =
      absl::IDivDuration(retry_delay, absl::Seconds(1), &retry_delay);
  retry.mutable_retry_delay()->set_seconds(seconds);
  retry.mutable_retry_delay()->set_nanos(
      static_cast<int32_t>(absl::ToInt64Nanoseconds(retry_delay)));
  Attach(retry, status);
  google::rpc::ErrorInfo error;
  error.set_reason(std::string(reason));
  error.set_domain("tern");
  Attach(error, status);
  return status;
}

}  // namespace

absl::Status QueueFullError(absl::string_view message,
                            absl::Duration retry_delay) {
  return ExhaustedError(message, "QUEUE_FULL", retry_delay);
}

absl::Status QuotaExceededError(absl::string_view message,
                                absl::Duration retry_delay) {
  return ExhaustedError(message, kQuotaExceeded, retry_delay);
}

std::optional<absl::Duration> RetryDelay(const absl::Status& status) {
  google::rpc::RetryInfo retry;
  const absl::optional<absl::Cord> payload = status.GetPayload(TypeUrl(retry));
  if (!payload.has_value() || !retry.ParseFromString(std::string(*payload))) {
    return std::nullopt;
  }
  return absl::Seconds(retry.retry_delay().seconds()) +
         absl::Nanoseconds(retry.retry_delay().nanos());
}

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  // Both libraries number the canonical codes alike.
  const auto code = static_cast<grpc::StatusCode>(status.code());
  google::rpc::Status details;
  details.set_code(static_cast<int>(code));
  details.set_message(Shortened(status.message()));
  status.ForEachPayload(
      [&details](absl::string_view type_url, const absl::Cord& payload) {
        google::protobuf::Any& detail = *details.add_details();
        detail.set_type_url(std::string(type_url));
        detail.set_value(std::string(payload));
      });
  if (details.details().empty()) return {code, details.message()};
  return {code, details.message(), details.SerializeAsString()};
}

bool IsQuotaExceeded(const absl::Status& status) {
  google::rpc::ErrorInfo error;
  const absl::optional<absl::Cord> payload = status.GetPayload(TypeUrl(error));
  return payload.has_value() && error.ParseFromString(std::string(*payload)) &&
         error.reason() == kQuotaExceeded;
}

std::string StatusCodeName(absl::StatusCode code) {
  return absl::StatusCodeToString(code);
}

absl::Status Annotate(const absl::Status& status, absl::string_view prefix) {
  if (status.ok()) return status;
  absl::Status annotated(status.code(),
                         absl::StrCat(prefix, ": ", status.message()));
  status.ForEachPayload(
      [&annotated](absl::string_view type_url, const absl::Cord& payload) {
        annotated.SetPayload(type_url, payload);
      });
  return annotated;
}

}  // namespace tern

#include "server/call.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "server/no_throw.h"
#include "server/status_mapping.h"
#include "server/wire_message.h"
#include "tokenizer/utf8.h"

namespace tern {
namespace {

// Of a tenant's name, which requests and metrics hold.
constexpr size_t kMaxTenantBytes = 64;

// The beginning of a name that anybody may have chosen, as UTF-8, which a
// Prometheus label has to be: HTTP's headers need not be.
std::string TenantName(absl::string_view name) {
  if (FindInvalidUtf8(name) != absl::string_view::npos) {
    return absl::CHexEscape(name).substr(0, kMaxTenantBytes);
  }
  name = name.substr(0, kMaxTenantBytes);
  const size_t cut = FindInvalidUtf8(name);  // within a character
  return std::string(name.substr(0, cut));
}

void SetDuration(absl::Duration from, google::protobuf::Duration& to) {
  to.set_seconds(absl::IDivDuration(from, absl::Seconds(1), &from));
  to.set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(from)));
}

bool IsFinite(const std::vector<std::vector<float>>& logits) {
  return std::all_of(logits.begin(), logits.end(), [](const auto& of_sequence) {
    return std::all_of(of_sequence.begin(), of_sequence.end(),
                       [](float logit) { return std::isfinite(logit); });
  });
}

absl::string_view RejectionReason(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
      return "invalid";
    case absl::StatusCode::kNotFound:
      return "not_found";
    case absl::StatusCode::kResourceExhausted:
      return IsQuotaExceeded(status) ? "quota" : "queue_full";
    case absl::StatusCode::kDeadlineExceeded:
      return "expired";
    case absl::StatusCode::kCancelled:
      return "cancelled";
    case absl::StatusCode::kUnavailable:
      return "shutting_down";
    default:
      return "other";
  }
}

}  // namespace

void Call::set_tenant(absl::string_view tenant) {
  request_->tenant = TenantName(tenant);
}

void Call::Start(const absl::Status& ready, absl::Time deadline, Done done) {
  done_ = std::move(done);
  absl::Status status = ready;
  if (status.ok()) {
    status = NoThrow("the call could not be prepared",
                     [this] { return Encode(*request_); });
  }
  times_.tokenize = environment_.clock.Now() - arrived_at_;
  if (status.ok()) {
    request_->deadline = std::min(request_->deadline, deadline);
    request_->message_bytes =
        static_cast<int64_t>(request_message().ByteSizeLong());
    request_->memory_bytes = static_cast<int64_t>(RequestMemory());
    request_->done = [this](const absl::Status& status) { End(status); };
    status = environment_.scheduler.Push(request_);
    if (status.ok()) return;  // `this` is the workers' now
  }
  environment_.metrics.CountRejected(RejectionReason(status));
  Finish(status);
}

absl::Status Call::ChooseModel(ModelUse use, const std::string& name,
                               const std::string& version) {
  if (request_->model != nullptr) return absl::OkStatus();
  auto model = environment_.models.FindFor(use, name, version);
  if (!model.ok()) return model.status();
  request_->model = *std::move(model);
  return absl::OkStatus();
}

absl::Status Call::CheckInputCount(int inputs) const {
  return CheckRange("inputs", inputs, 1, environment_.max_inputs);
}

// Runs on the thread that ended the request.
void Call::End(const absl::Status& status) {
  if (request_->started_at != absl::Time()) {
    times_.queue = request_->started_at - request_->queued_at;
    times_.compute = request_->ended_at - request_->started_at;
  } else {
    times_.queue = request_->ended_at - request_->queued_at;
  }
  Finish(status.ok() ? MakeReply() : status);
}

// A worker's thread must outlive what goes wrong here.
absl::Status Call::MakeReply() {
  return NoThrow("the reply could not be made", [this] {
    if (!IsFinite(request_->logits)) {
      return absl::InternalError(
          "the model's scores are no finite numbers: its weights are too "
          "large");
    }
    Reply(*request_);
    return CheckLength(response_message());
  });
}

void Call::Finish(const absl::Status& status) {
  const absl::Time now = environment_.clock.Now();
  times_.total = now - arrived_at_;
  if (status.ok()) {
    SetDuration(times_.tokenize, *timings().mutable_tokenize());
    SetDuration(times_.queue, *timings().mutable_queue());
    SetDuration(times_.compute, *timings().mutable_compute());
    SetDuration(times_.total, *timings().mutable_total());
  }
  environment_.metrics.ObserveCall(method_, request_->model.get(),
                                   status.code(), times_);
  if (environment_.load_meter != nullptr) {
    environment_.load_meter->CountCall(status.ok());
  }
  environment_.log.Observe(method_, *request_, status, times_, trace_, now);
  done_(status);  // which may delete `this`
}

std::string FieldName(int input, absl::string_view field) {
  return absl::StrCat("inputs[", input, "].", field);
}

absl::Status CheckNotEmpty(absl::string_view text, int input,
                           absl::string_view field) {
  if (!text.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      FieldName(input, field), ": expected a text, found an empty one"));
}

absl::StatusOr<Encoding> CheckTruncation(absl::StatusOr<Encoding> encoding,
                                         v1::Truncation truncation, int input,
                                         int max_tokens) {
  if (!encoding.ok()) {
    return Annotate(encoding.status(), FieldName(input, "text"));
  }
  if (encoding->truncated && truncation == v1::TRUNCATION_REFUSE) {
    return absl::InvalidArgumentError(absl::StrCat(
        FieldName(input, "text"), ": expected at most ", max_tokens,
        " tokens, found more; TRUNCATION_LONGEST_FIRST cuts it"));
  }
  return encoding;
}

absl::Status CheckRange(absl::string_view field, int value, int least,
                        int most) {
  if (least <= value && value <= most) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      field, ": expected ", least, " to ", most, ", found ", value));
}

}  // namespace tern

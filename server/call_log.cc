#include "server/call_log.h"

#include <cmath>
#include <cstdint>
#include <string>

#include "server/status_mapping.h"

namespace tern {
namespace {

// To the microsecond, so that a line stays short.
double Seconds(absl::Duration duration) {
  return static_cast<double>(absl::ToInt64Microseconds(duration)) / 1e6;
}

int64_t Tokens(const Request& request) {
  int64_t tokens = 0;
  for (const Encoding& sequence : request.sequences) {
    tokens += static_cast<int64_t>(sequence.ids.size());
  }
  return tokens;
}

}  // namespace

bool WantsLine(const CallLogOptions& options, const absl::Status& status,
               absl::Duration total) {
  if (absl::IsInternal(status)) return true;
  switch (options.calls) {
    case LoggedCalls::kNone:
      return false;
    case LoggedCalls::kSlow:
      return total >= options.slow;
    case LoggedCalls::kFailed:
      return total >= options.slow || !status.ok();
    case LoggedCalls::kAll:
      return true;
  }
  return false;
}

LogFields CallFields(absl::string_view method, const Request& request,
                     const absl::Status& status, const StageTimes& times,
                     const std::optional<TraceContext>& trace) {
  LogFields fields = {{"method", std::string(method)},
                      {"status", StatusCodeName(status.code())}};
  if (request.model != nullptr) {
    fields["model"] = request.model->name;
    fields["version"] = request.model->version;
  }
  if (!request.tenant.empty()) fields["tenant"] = request.tenant;
  fields["tokens"] = Tokens(request);
  fields["seconds"] = Seconds(times.total);
  fields["queue_seconds"] = Seconds(times.queue);
  fields["compute_seconds"] = Seconds(times.compute);
  if (trace.has_value()) {
    fields["trace_id"] = trace->trace_id;
    fields["span_id"] = trace->span_id;
  }
  // Other errors may quote what the client sent.
  if (absl::IsInternal(status)) {
    fields["error"] = std::string(status.message());
  }
  return fields;
}

void CallLog::Observe(absl::string_view method, const Request& request,
                      const absl::Status& status, const StageTimes& times,
                      const std::optional<TraceContext>& trace,
                      absl::Time now) {
  if (!WantsLine(options_, status, times.total)) return;
  int64_t dropped = 0;
  if (options_.calls != LoggedCalls::kAll) {
    const std::optional<int64_t> admitted = limiter_.Admit(now);
    if (!admitted.has_value()) return;
    dropped = *admitted;
  }
  LogFields fields = CallFields(method, request, status, times, trace);
  if (dropped > 0) fields["calls_not_logged"] = dropped;
  Log(absl::IsInternal(status) ? LogLevel::kError : LogLevel::kInfo, "call",
      fields);
}

}  // namespace tern

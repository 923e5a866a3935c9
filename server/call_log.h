// The log's lines about calls.
//
// Thread-safe.

#ifndef TERN_SERVER_CALL_LOG_H_
#define TERN_SERVER_CALL_LOG_H_

#include <optional>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/line_limiter.h"
#include "server/log.h"
#include "server/metrics.h"
#include "server/request.h"
#include "server/trace_context.h"

namespace tern {

// Which calls get a line, each choice with those before it. One that ends
// INTERNAL always does.
enum class LoggedCalls { kNone, kSlow, kFailed, kAll };

struct CallLogOptions {
  LoggedCalls calls = LoggedCalls::kNone;
  absl::Duration slow = absl::Seconds(1);  // a call that takes so long is slow
};

bool WantsLine(const CallLogOptions& options, const absl::Status& status,
               absl::Duration total);

// What a line says of a call; never its texts.
LogFields CallFields(absl::string_view method, const Request& request,
                     const absl::Status& status, const StageTimes& times,
                     const std::optional<TraceContext>& trace);

// Writes them. Whoever reaches the port can make calls fail, which must not
// fill the disk: but for kAll a hundred lines a second are written, and the
// next one says how many were not.
class CallLog {
 public:
  explicit CallLog(const CallLogOptions& options) : options_(options) {}

  // A call has ended now.
  void Observe(absl::string_view method, const Request& request,
               const absl::Status& status, const StageTimes& times,
               const std::optional<TraceContext>& trace, absl::Time now);

 private:
  static constexpr int kLines = 100;
  static constexpr absl::Duration kPeriod = absl::Seconds(1);

  const CallLogOptions options_;
  LineLimiter limiter_{kLines, kPeriod};
};

}  // namespace tern

#endif  // TERN_SERVER_CALL_LOG_H_

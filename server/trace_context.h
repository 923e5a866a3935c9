// Which trace a call belongs to: W3C Trace Context's `traceparent`, in gRPC's
// metadata or HTTP's header (https://www.w3.org/TR/trace-context).
//
// Thread-safe: pure functions.

#ifndef TERN_SERVER_TRACE_CONTEXT_H_
#define TERN_SERVER_TRACE_CONTEXT_H_

#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace tern {

inline constexpr char kTraceparent[] = "traceparent";

struct TraceContext {
  std::string trace_id;  // 32 hexadecimal digits, not all zero
  std::string span_id;   // 16, likewise; the caller's
};

// None for what is malformed, as the standard wants it. Versions after 00 may
// be longer.
std::optional<TraceContext> ParseTraceparent(absl::string_view text);

}  // namespace tern

#endif  // TERN_SERVER_TRACE_CONTEXT_H_

#include "server/trace_context.h"

namespace tern {
namespace {

// The layout of version 00: version-traceid-spanid-flags.
constexpr size_t kLength = 55;
constexpr size_t kTraceIdAt = 3;
constexpr size_t kSpanIdAt = 36;
constexpr size_t kFlagsAt = 53;

bool IsLowerHex(absl::string_view text) {
  return text.find_first_not_of("0123456789abcdef") == absl::string_view::npos;
}

bool IsId(absl::string_view text) {
  return IsLowerHex(text) &&
         text.find_first_not_of('0') != absl::string_view::npos;
}

bool HasDashes(absl::string_view text) {
  return text[kTraceIdAt - 1] == '-' && text[kSpanIdAt - 1] == '-' &&
         text[kFlagsAt - 1] == '-';
}

}  // namespace

std::optional<TraceContext> ParseTraceparent(absl::string_view text) {
  if (text.size() < kLength || !HasDashes(text)) return std::nullopt;
  const absl::string_view version = text.substr(0, 2);
  if (!IsLowerHex(version) || version == "ff") return std::nullopt;
  if (text.size() > kLength && (version == "00" || text[kLength] != '-')) {
    return std::nullopt;
  }
  const absl::string_view trace_id = text.substr(kTraceIdAt, 32);
  const absl::string_view span_id = text.substr(kSpanIdAt, 16);
  if (!IsId(trace_id) || !IsId(span_id) ||
      !IsLowerHex(text.substr(kFlagsAt, 2))) {
    return std::nullopt;
  }
  return TraceContext{std::string(trace_id), std::string(span_id)};
}

}  // namespace tern

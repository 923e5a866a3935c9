// The server's log: one line per event, on stderr, as text or JSON.
//
//   2026-01-31T12:00:00.123Z info model loaded model=sst2 seconds=0.12
//   {"time":"2026-01-31T12:00:00.123Z","level":"info","event":"model loaded",
//    "model":"sst2","seconds":0.12}            (in one line)
//
// Thread-safe after SetUpLog.

#ifndef TERN_SERVER_LOG_H_
#define TERN_SERVER_LOG_H_

#include <string>

#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"

namespace tern {

enum class LogFormat { kText, kJson };
enum class LogLevel { kDebug, kInfo, kWarning, kError };

// The names and values of an event, in order; values are numbers, booleans or
// strings.
using LogFields = nlohmann::ordered_json;

void SetUpLog(LogFormat format, LogLevel level);

void Log(LogLevel level, absl::string_view event,
         const LogFields& fields = LogFields::object());

// The line of an event but for its time, which SetUpLog's format prepends.
std::string FormatEvent(LogFormat format, LogLevel level,
                        absl::string_view event, const LogFields& fields);

}  // namespace tern

#endif  // TERN_SERVER_LOG_H_

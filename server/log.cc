#include "server/log.h"

#include "absl/strings/str_cat.h"
#include "spdlog/sinks/stdout_sinks.h"
#include "spdlog/spdlog.h"

namespace tern {
namespace {

LogFormat log_format = LogFormat::kText;  // constant after SetUpLog

spdlog::level::level_enum ToSpdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

absl::string_view LevelName(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarning:
      return "warning";
    case LogLevel::kError:
      return "error";
  }
  return "";
}

// Bytes that are not UTF-8 are replaced, not thrown about.
std::string Dump(const LogFields& value) {
  return value.dump(-1, ' ', false, LogFields::error_handler_t::replace);
}

// Quoted only if it has to be.
std::string TextValue(const LogFields& value) {
  if (!value.is_string()) return Dump(value);
  const auto& text = value.get_ref<const std::string&>();
  const bool plain =
      !text.empty() && text.find_first_of(" \"\n\t=") == std::string::npos;
  return plain ? text : Dump(value);
}

}  // namespace

void SetUpLog(LogFormat format, LogLevel level) {
  log_format = format;
  auto logger = std::make_shared<spdlog::logger>(
      "tern", std::make_shared<spdlog::sinks::stderr_sink_mt>());
  // UTC; FormatEvent made the rest of the line.
  logger->set_pattern(format == LogFormat::kJson
                          ? R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ",%v)"
                          : "%Y-%m-%dT%H:%M:%S.%eZ %v",
                      spdlog::pattern_time_type::utc);
  logger->set_level(ToSpdlog(level));
  logger->flush_on(spdlog::level::debug);
  spdlog::set_default_logger(std::move(logger));
}

void Log(LogLevel level, absl::string_view event, const LogFields& fields) {
  // A separate argument: braces in the line are not spdlog's format.
  spdlog::log(ToSpdlog(level), "{}",
              FormatEvent(log_format, level, event, fields));
}

std::string FormatEvent(LogFormat format, LogLevel level,
                        absl::string_view event, const LogFields& fields) {
  if (format == LogFormat::kJson) {
    LogFields line = {{"level", std::string(LevelName(level))},
                      {"event", std::string(event)}};
    line.update(fields);
    return Dump(line).substr(1);  // the pattern opened the object
  }
  std::string line = absl::StrCat(LevelName(level), " ", event);
  for (const auto& [name, value] : fields.items()) {
    absl::StrAppend(&line, " ", name, "=", TextValue(value));
  }
  return line;
}

}  // namespace tern

// JSON from files that others wrote.
//
// Thread-safe: pure functions.

#ifndef TERN_MODEL_JSON_FILE_H_
#define TERN_MODEL_JSON_FILE_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"

namespace tern {

// Parses one JSON object; `what` names it in errors.
// Errors: INVALID_ARGUMENT for anything but one object in valid UTF-8, a key
// that stands twice in one object, or more than 16 levels.
absl::StatusOr<nlohmann::json> ParseJsonObject(absl::string_view text,
                                               absl::string_view what);

// Of a configuration file (at most 16 MiB).
// Errors: of ReadSmallFile, too.
absl::StatusOr<nlohmann::json> ReadJsonObjectFile(const std::string& path);
// The same for a file with one JSON array.
absl::StatusOr<nlohmann::json> ReadJsonArrayFile(const std::string& path);

}  // namespace tern

#endif  // TERN_MODEL_JSON_FILE_H_

// Refuses JSON that only harms: parsers take 0.1 s for a megabyte of "[".

#ifndef TERN_SERVER_JSON_DEPTH_H_
#define TERN_SERVER_JSON_DEPTH_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace tern {

// Far more than any message of ours has.
inline constexpr int kMaxJsonLevels = 32;

// Before parsing it, which finds all else that is wrong.
// Errors: INVALID_ARGUMENT where arrays and objects are in one another more
// than kMaxJsonLevels levels deep.
absl::Status CheckJsonDepth(absl::string_view json);

}  // namespace tern

#endif  // TERN_SERVER_JSON_DEPTH_H_

// Reads whole files.

#ifndef TERN_CLIENT_READ_FILE_H_
#define TERN_CLIENT_READ_FILE_H_

#include <string>

#include "absl/status/statusor.h"

namespace tern {

// "-" is stdin.
// Errors: NOT_FOUND naming the file and the reason.
absl::StatusOr<std::string> ReadFile(const std::string& path);

}  // namespace tern

#endif  // TERN_CLIENT_READ_FILE_H_

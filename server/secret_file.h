// Reads the small files that hold certificates, keys and tokens.

#ifndef TERN_SERVER_SECRET_FILE_H_
#define TERN_SERVER_SECRET_FILE_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace tern {

// The whole file. Errors, which name `flag` and the file: NOT_FOUND for one
// that cannot be read, INVALID_ARGUMENT for one of more than 1 MiB.
absl::StatusOr<std::string> ReadSecretFile(absl::string_view flag,
                                           const std::string& path);

}  // namespace tern

#endif  // TERN_SERVER_SECRET_FILE_H_

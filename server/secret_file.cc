#include "server/secret_file.h"

#include <cerrno>
#include <cstring>
#include <fstream>

#include "absl/strings/str_cat.h"

namespace tern {
namespace {

constexpr size_t kMaxBytes = 1 << 20;

}  // namespace

absl::StatusOr<std::string> ReadSecretFile(absl::string_view flag,
                                           const std::string& path) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::string contents(kMaxBytes + 1, '\0');
  file.read(contents.data(), static_cast<std::streamsize>(contents.size()));
  if (!file.eof() && (!file || file.gcount() == 0)) {
    return absl::NotFoundError(
        absl::StrCat(flag, " ", path, ": expected a readable file, found: ",
                     errno == 0 ? "none" : std::strerror(errno)));
  }
  contents.resize(static_cast<size_t>(file.gcount()));
  if (contents.size() > kMaxBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(flag, " ", path, ": expected at most ", kMaxBytes,
                     " bytes, found more"));
  }
  return contents;
}

}  // namespace tern

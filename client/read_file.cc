#include "client/read_file.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "absl/strings/str_cat.h"

namespace tern {

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  const auto close = [](FILE* file) {
    if (file != stdin) std::fclose(file);
  };
  const std::unique_ptr<FILE, decltype(close)> file(
      path == "-" ? stdin : std::fopen(path.c_str(), "rb"), close);
  std::string contents;
  if (file != nullptr) {
    char block[1 << 16];
    size_t got;
    while ((got = std::fread(block, 1, sizeof block, file.get())) > 0) {
      contents.append(block, got);
    }
  }
  if (file == nullptr || std::ferror(file.get())) {
    return absl::NotFoundError(absl::StrCat(
        "file '", path, "' cannot be read: ", std::strerror(errno)));
  }
  return contents;
}

}  // namespace tern

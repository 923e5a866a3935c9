// Regular files, read and written whole. Others are refused: a FIFO would
// block, and a device has no end.
//
// Thread-safe: pure functions.

#ifndef TERN_FILES_REGULAR_FILE_H_
#define TERN_FILES_REGULAR_FILE_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace tern {

// Open for reading; closes itself.
class RegularFile {
 public:
  // Errors: NOT_FOUND (or what errno says) naming the file; INVALID_ARGUMENT
  // where it is no regular file.
  static absl::StatusOr<RegularFile> Open(const std::string& path);

  RegularFile(RegularFile&& other) noexcept;
  RegularFile& operator=(RegularFile&&) = delete;
  ~RegularFile();

  int64_t bytes() const { return bytes_; }  // as it was opened

  // Reads the next bytes into all of `to`.
  // Errors: INVALID_ARGUMENT where the file ends before; what errno says.
  absl::Status Read(absl::Span<uint8_t> to);

 private:
  RegularFile(std::string path, int fd, int64_t bytes);

  std::string path_;
  int fd_;
  int64_t bytes_;
};

// A whole file of at most `max_bytes`.
// Errors: of RegularFile; INVALID_ARGUMENT where it is longer.
absl::StatusOr<std::string> ReadSmallFile(const std::string& path,
                                          int64_t max_bytes);

// Writes the pieces, one after the other, to a temporary file beside `path`,
// then renames it to `path`: a reader sees the old file or the whole new one.
// Errors: what errno says, naming the file, which then is as it was before.
absl::Status WriteFileAtomically(
    const std::string& path,
    absl::Span<const absl::Span<const uint8_t>> pieces);

}  // namespace tern

#endif  // TERN_FILES_REGULAR_FILE_H_

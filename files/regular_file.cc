#include "files/regular_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <utility>

#include "absl/strings/str_cat.h"

namespace tern {
namespace {

absl::Status ErrnoStatus(absl::string_view action, const std::string& path) {
  return absl::ErrnoToStatus(errno, absl::StrCat(action, " ", path));
}

absl::Status WriteAll(int fd, absl::Span<const uint8_t> bytes,
                      const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return ErrnoStatus("write", path);
    bytes.remove_prefix(written);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<RegularFile> RegularFile::Open(const std::string& path) {
  // O_NONBLOCK: a FIFO is opened, and refused, without waiting for a writer.
  const int fd = open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return ErrnoStatus("open", path);
  RegularFile file(path, fd, 0);
  struct stat info;
  if (fstat(fd, &info) != 0) return ErrnoStatus("stat", path);
  if (!S_ISREG(info.st_mode)) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": expected a regular file"));
  }
  file.bytes_ = info.st_size;
  return file;
}

RegularFile::RegularFile(std::string path, int fd, int64_t bytes)
    : path_(std::move(path)), fd_(fd), bytes_(bytes) {}

RegularFile::RegularFile(RegularFile&& other) noexcept
    : path_(std::move(other.path_)),
      fd_(std::exchange(other.fd_, -1)),
      bytes_(other.bytes_) {}

RegularFile::~RegularFile() {
  if (fd_ >= 0) close(fd_);
}

absl::Status RegularFile::Read(absl::Span<uint8_t> to) {
  const size_t expected = to.size();
  while (!to.empty()) {
    const ssize_t part = read(fd_, to.data(), to.size());
    if (part < 0 && errno == EINTR) continue;
    if (part < 0) return ErrnoStatus("read", path_);
    if (part == 0) {
      return absl::InvalidArgumentError(
          absl::StrCat(path_, ": truncated while it was read: expected ",
                       expected, " more bytes, found ", expected - to.size()));
    }
    to.remove_prefix(part);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> ReadSmallFile(const std::string& path,
                                          int64_t max_bytes) {
  absl::StatusOr<RegularFile> file = RegularFile::Open(path);
  if (!file.ok()) return file.status();
  if (file->bytes() > max_bytes) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": expected at most ",
                                                   max_bytes, " bytes, found ",
                                                   file->bytes()));
  }
  std::string text(file->bytes(), '\0');
  absl::Status read =
      file->Read({reinterpret_cast<uint8_t*>(text.data()), text.size()});
  if (!read.ok()) return read;
  return text;
}

absl::Status WriteFileAtomically(
    const std::string& path,
    absl::Span<const absl::Span<const uint8_t>> pieces) {
  const std::string temporary = absl::StrCat(path, ".", getpid(), ".tmp");
  const int fd =
      open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) return ErrnoStatus("create", temporary);
  absl::Status status;
  for (absl::Span<const uint8_t> piece : pieces) {
    status.Update(WriteAll(fd, piece, path));
    if (!status.ok()) break;
  }
  if (status.ok() && fsync(fd) != 0) status = ErrnoStatus("fsync", path);
  if (close(fd) != 0) status.Update(ErrnoStatus("close", path));
  if (status.ok() && rename(temporary.c_str(), path.c_str()) != 0) {
    status = ErrnoStatus("rename", path);
  }
  if (!status.ok()) unlink(temporary.c_str());
  return status;
}

}  // namespace tern

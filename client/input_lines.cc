#include "client/input_lines.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace tern {

absl::StatusOr<bool> InputLines::Next(std::string& line) {
  size_t searched = begin_;
  while (true) {
    const size_t line_feed = buffer_.find('\n', searched);
    const size_t end =
        line_feed == std::string::npos ? buffer_.size() : line_feed;
    if (end - begin_ > kMaxLineBytes) {
      return absl::InvalidArgumentError(absl::StrCat(
          "line ", number_ + 1, " is longer than ", kMaxLineBytes, " bytes"));
    }
    if (line_feed != std::string::npos || (at_end_ && end > begin_)) {
      line.assign(buffer_, begin_, end - begin_);
      if (!line.empty() && line.back() == '\r') line.pop_back();
      const size_t next = line_feed == std::string::npos ? end : end + 1;
      bytes_ += static_cast<int64_t>(next - begin_);
      begin_ = next;
      ++number_;
      return true;
    }
    if (at_end_) return false;

    buffer_.erase(0, begin_);
    begin_ = 0;
    searched = buffer_.size();
    constexpr size_t kReadBytes = 1 << 16;
    buffer_.resize(searched + kReadBytes);
    ssize_t got;
    do {
      got = read(file_descriptor_, buffer_.data() + searched, kReadBytes);
    } while (got < 0 && errno == EINTR);
    buffer_.resize(searched + (got > 0 ? static_cast<size_t>(got) : 0));
    if (got < 0) {
      return absl::UnavailableError(absl::StrCat(
          "cannot read line ", number_ + 1, ": ", std::strerror(errno)));
    }
    at_end_ = got == 0;
  }
}

bool InputLines::Ready() {
  if (at_end_ || buffer_.find('\n', begin_) != std::string::npos) return true;
  pollfd input = {file_descriptor_, POLLIN, 0};
  return poll(&input, 1, /*timeout=*/0) > 0;
}

}  // namespace tern

// Reads lines from a file descriptor, in memory bounded by the longest line.
//
// Says whether another line can be had without waiting, so that a caller who
// collects lines knows when to stop collecting and answer: a file is read in
// full calls, a typing person gets each answer at once.
//
// One thread.

#ifndef TERN_CLIENT_INPUT_LINES_H_
#define TERN_CLIENT_INPUT_LINES_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace tern {

class InputLines {
 public:
  static constexpr size_t kMaxLineBytes = 1 << 20;

  // Does not own `file_descriptor`.
  explicit InputLines(int file_descriptor)
      : file_descriptor_(file_descriptor) {}

  // Waits for the next line, without its "\n" or "\r\n"; false at the end of
  // the file. A last line needs no line feed.
  // Errors: INVALID_ARGUMENT for a line longer than kMaxLineBytes, UNAVAILABLE
  // where the read fails.
  absl::StatusOr<bool> Next(std::string& line);

  // True if a call of Next would not wait long: there is a line in memory, or
  // more to read, or the end.
  bool Ready();

  // Lines returned so far: the 1-based number of the last one.
  int64_t number() const { return number_; }
  // Bytes of the lines returned so far.
  int64_t bytes() const { return bytes_; }

 private:
  const int file_descriptor_;
  std::string buffer_;  // read and not returned yet, from begin_ on
  size_t begin_ = 0;
  bool at_end_ = false;
  int64_t number_ = 0;
  int64_t bytes_ = 0;
};

}  // namespace tern

#endif  // TERN_CLIENT_INPUT_LINES_H_

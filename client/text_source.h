// The texts that a command works on: its arguments, or else the lines of stdin.
//
// Texts come out checked, so that a mistake is named by its line before
// anything of it is sent.
//
// One thread.

#ifndef TERN_CLIENT_TEXT_SOURCE_H_
#define TERN_CLIENT_TEXT_SOURCE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/input_lines.h"

namespace tern {

struct Text {
  std::string text;
  std::optional<std::string> pair;
  std::string place;  // "line 3", "argument 1"

  size_t bytes() const {
    return text.size() + (pair.has_value() ? pair->size() : 0);
  }
};

class TextSource {
 public:
  // Reads `file_descriptor` where there are no arguments. `pairs`: every two
  // arguments make one Text, and a line is `text<TAB>pair`.
  TextSource(std::vector<std::string> arguments, int file_descriptor,
             bool pairs);

  // Waits for the next text; false after the last.
  // Errors: INVALID_ARGUMENT naming the place: an empty text, invalid UTF-8, a
  // line without its tab or with two of them, an argument without its second.
  absl::StatusOr<bool> Next(Text& text);

  // True if the next text can be had without waiting.
  bool Ready();

  // Bytes of stdin read into texts so far.
  int64_t bytes() const { return lines_.bytes(); }
  bool reads_lines() const { return arguments_.empty(); }

 private:
  absl::StatusOr<bool> NextArgument(Text& text);
  absl::StatusOr<bool> NextLine(Text& text);

  const std::vector<std::string> arguments_;
  const bool pairs_;
  size_t next_argument_ = 0;
  InputLines lines_;
};

// Errors: INVALID_ARGUMENT where `text` is empty or not UTF-8, beginning with
// `place`.
absl::Status CheckText(absl::string_view place, absl::string_view text);

}  // namespace tern

#endif  // TERN_CLIENT_TEXT_SOURCE_H_

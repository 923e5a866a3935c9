#include "client/text_source.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/utf8.h"

namespace tern {

absl::Status CheckText(absl::string_view place, absl::string_view text) {
  if (text.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(place, ": text is empty"));
  }
  const std::optional<size_t> invalid = FindInvalidUtf8(text);
  if (invalid.has_value()) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "%s: text is not valid UTF-8 at byte %d (0x%02X)", place, *invalid,
        static_cast<unsigned char>(text[*invalid])));
  }
  return absl::OkStatus();
}

TextSource::TextSource(std::vector<std::string> arguments, int file_descriptor,
                       bool pairs)
    : arguments_(std::move(arguments)),
      pairs_(pairs),
      lines_(file_descriptor) {}

absl::StatusOr<bool> TextSource::Next(Text& text) {
  text.pair.reset();
  const absl::StatusOr<bool> found =
      reads_lines() ? NextLine(text) : NextArgument(text);
  if (!found.ok() || !*found) return found;
  if (absl::Status status = CheckText(text.place, text.text); !status.ok()) {
    return status;
  }
  if (text.pair.has_value()) {
    absl::Status status =
        CheckText(absl::StrCat(text.place, ", second text"), *text.pair);
    if (!status.ok()) return status;
  }
  return true;
}

bool TextSource::Ready() { return !reads_lines() || lines_.Ready(); }

absl::StatusOr<bool> TextSource::NextArgument(Text& text) {
  if (next_argument_ == arguments_.size()) return false;
  text.text = arguments_[next_argument_++];
  text.place = absl::StrCat("argument ", next_argument_);
  if (pairs_) {
    if (next_argument_ == arguments_.size()) {
      return absl::InvalidArgumentError(
          absl::StrCat(text.place,
                       ": with --pair, texts come in twos; the second is "
                       "missing"));
    }
    text.pair = arguments_[next_argument_++];
  }
  return true;
}

absl::StatusOr<bool> TextSource::NextLine(Text& text) {
  const absl::StatusOr<bool> found = lines_.Next(text.text);
  if (!found.ok() || !*found) return found;
  text.place = absl::StrCat("line ", lines_.number());
  if (pairs_) {
    const size_t tab = text.text.find('\t');
    if (tab == std::string::npos ||
        text.text.find('\t', tab + 1) != std::string::npos) {
      return absl::InvalidArgumentError(
          absl::StrCat(text.place,
                       ": with --pair, a line is two texts with one tab "
                       "between them"));
    }
    text.pair = text.text.substr(tab + 1);
    text.text.resize(tab);
  }
  return true;
}

}  // namespace tern

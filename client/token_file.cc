#include "client/token_file.h"

#include <algorithm>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "client/read_file.h"

namespace tern {
namespace {

absl::StatusOr<std::string> ReadToken(const std::string& path) {
  const absl::StatusOr<std::string> text = ReadFile(path);
  if (!text.ok()) return text.status();
  const std::vector<absl::string_view> words =
      absl::StrSplit(*text, absl::ByAnyChar(" \t\r\n"), absl::SkipEmpty());
  // gRPC ends the process over metadata that it cannot send.
  if (words.empty() ||
      !std::all_of(words[0].begin(), words[0].end(), &absl::ascii_isgraph)) {
    return absl::InvalidArgumentError(absl::StrCat(
        path, ": expected a token of printable ASCII characters, found ",
        words.empty() ? "an empty file" : "others"));
  }
  return std::string(words[0]);
}

}  // namespace

absl::StatusOr<std::unique_ptr<TokenFile>> TokenFile::Open(
    const std::string& path, absl::Duration max_age) {
  absl::StatusOr<std::string> token = ReadToken(path);
  if (!token.ok()) return token.status();
  return std::unique_ptr<TokenFile>(
      new TokenFile(path, max_age, *std::move(token)));
}

std::string TokenFile::Get() {
  std::lock_guard lock(mutex_);
  if (absl::Now() - read_at_ >= max_age_) {
    read_at_ = absl::Now();
    if (auto token = ReadToken(path_); token.ok()) token_ = *std::move(token);
  }
  return token_;
}

}  // namespace tern

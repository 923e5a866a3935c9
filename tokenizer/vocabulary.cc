#include "tokenizer/vocabulary.h"

#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "files/regular_file.h"
#include "tokenizer/utf8.h"

namespace tern {
namespace {

absl::Status LineError(const std::string& path, size_t line,
                       absl::string_view problem) {
  return absl::InvalidArgumentError(
      absl::StrCat(path, " line ", line + 1, ": ", problem));
}

// The lines of `text`, which may end in "\n" or "\r\n".
std::vector<std::string> SplitLines(absl::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    absl::string_view line = text.substr(0, end);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    lines.emplace_back(line);
    text.remove_prefix(end == absl::string_view::npos ? text.size() : end + 1);
  }
  return lines;
}

}  // namespace

absl::StatusOr<Vocabulary> Vocabulary::Load(const std::string& path) {
  constexpr int64_t kMaxBytes = int64_t{64} << 20;
  const absl::StatusOr<std::string> text = ReadSmallFile(path, kMaxBytes);
  if (absl::IsNotFound(text.status())) {
    return absl::NotFoundError(
        absl::StrCat(path,
                     ": expected a vocabulary, there is none (Tern does not "
                     "read tokenizer.json)"));
  }
  if (!text.ok()) return text.status();
  const std::vector<std::string> lines = SplitLines(*text);
  if (lines.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": expected one token a line, the file is empty"));
  }
  absl::flat_hash_map<absl::string_view, size_t> line_of;
  line_of.reserve(lines.size());
  std::vector<std::pair<std::string, int32_t>> tokens;
  tokens.reserve(lines.size());
  for (size_t i = 0; i < lines.size(); ++i) {
    if (FindInvalidUtf8(lines[i]) != absl::string_view::npos) {
      return LineError(path, i, "expected UTF-8, found an invalid byte");
    }
    const auto [found, is_new] = line_of.emplace(lines[i], i);
    if (!is_new) {
      return LineError(path, i,
                       absl::StrCat("expected a new token, '", lines[i],
                                    "' is on line ", found->second + 1));
    }
    tokens.emplace_back(lines[i], static_cast<int32_t>(i));
  }
  ShortWordTable short_words(tokens);
  absl::StatusOr<PieceTrie> trie = PieceTrie::Build(std::move(tokens));
  if (!trie.ok()) return trie.status();
  return Vocabulary(*std::move(trie), std::move(short_words),
                    static_cast<int>(lines.size()));
}

int32_t Vocabulary::Find(absl::string_view token) const {
  return trie_.Walk(token).token;
}

}  // namespace tern

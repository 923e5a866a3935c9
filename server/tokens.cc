#include "server/tokens.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace tern {
namespace {

// Shorter ones can be guessed.
constexpr size_t kMinBytes = 16;

constexpr std::pair<absl::string_view, Scope> kScopes[] = {
    {"inference", Scope::kInference},
    {"admin", Scope::kAdmin},
    {"metrics", Scope::kMetrics}};

absl::string_view NameOf(Scope scope) {
  for (const auto& [name, named] : kScopes) {
    if (named == scope) return name;
  }
  return "";
}

// What RFC 6750 lets a token consist of.
bool IsTokenCharacter(char c) {
  return absl::ascii_isalnum(c) || absl::StrContains("-._~+/=", c);
}

}  // namespace

absl::StatusOr<Tokens> Tokens::Parse(absl::string_view text,
                                     absl::string_view path) {
  Tokens tokens;
  int number = 0;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    ++number;
    const auto bad = [&](absl::string_view expected, absl::string_view found) {
      return absl::InvalidArgumentError(
          absl::StrCat("--tokens-file ", path, ", line ", number, ": expected ",
                       expected, ", found ", found));
    };
    const std::vector<absl::string_view> words =
        absl::StrSplit(line, absl::ByAnyChar(" \t\r"), absl::SkipEmpty());
    if (words.empty() || words[0][0] == '#') continue;
    if (words.size() != 2) {
      return bad("a token and its scopes",
                 absl::StrCat(words.size(), " words"));
    }
    const absl::string_view token = words[0];
    if (token.size() < kMinBytes ||
        !std::all_of(token.begin(), token.end(), &IsTokenCharacter)) {
      return bad(absl::StrCat("a token of at least ", kMinBytes,
                              " letters, digits and -._~+/="),
                 absl::StrCat("one of ", token.size(), " characters"));
    }
    Entry entry = {.digest = DigestOf(token), .scopes = {}};
    for (const absl::string_view name : absl::StrSplit(words[1], ',')) {
      const auto* scope = std::find_if(
          std::begin(kScopes), std::end(kScopes),
          [name](const auto& known) { return known.first == name; });
      if (scope == std::end(kScopes)) {
        return bad("scopes among inference,admin,metrics", "others");
      }
      entry.scopes.insert(scope->second);
    }
    tokens.entries_.push_back(std::move(entry));
  }
  if (tokens.entries_.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--tokens-file ", path, ": expected at least one token, found none"));
  }
  return tokens;
}

Tokens::Digest Tokens::DigestOf(absl::string_view token) {
  Digest digest;
  SHA256(reinterpret_cast<const unsigned char*>(token.data()), token.size(),
         digest.data());
  return digest;
}

absl::Status Tokens::Check(absl::string_view token, Scope scope) const {
  const Digest digest = DigestOf(token);
  bool known = false;
  bool allowed = false;
  for (const Entry& entry : entries_) {
    const bool same =
        CRYPTO_memcmp(entry.digest.data(), digest.data(), digest.size()) == 0;
    known |= same;
    allowed |= same && entry.scopes.contains(scope);
  }
  if (!known) {
    return absl::UnauthenticatedError("expected a valid token, found another");
  }
  if (!allowed) {
    return absl::PermissionDeniedError(
        absl::StrCat("expected a token with the scope '", NameOf(scope), "'"));
  }
  return absl::OkStatus();
}

absl::Status Tokens::CheckAuthorization(absl::string_view authorization,
                                        Scope scope) const {
  const std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(authorization, absl::MaxSplits(' ', 1));
  if (!absl::EqualsIgnoreCase(parts.first, "bearer")) {
    return absl::UnauthenticatedError(
        absl::StrCat("authorization: expected 'Bearer <token>', found ",
                     authorization.empty() ? "nothing" : "something else"));
  }
  return Check(absl::StripAsciiWhitespace(parts.second), scope);
}

}  // namespace tern

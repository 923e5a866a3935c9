// The bearer tokens that callers show, and what each is good for.
//
// A file has one token a line, then its scopes:
//
//   # the web shop
//   M2E4YzU1ZTk0ZjYxNDk3YjkyZWI inference
//   ZDk1NjA4ZGI3ODM2NDBkM2I4ZTM inference,admin,metrics
//
// Only digests are kept. Immutable, so thread-safe.

#ifndef TERN_SERVER_TOKENS_H_
#define TERN_SERVER_TOKENS_H_

#include <array>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace tern {

enum class Scope { kInference, kAdmin, kMetrics };

class Tokens {
 public:
  // Reads the text of the file at `path`, which messages name; they never hold
  // a token. Errors: INVALID_ARGUMENT naming the line.
  static absl::StatusOr<Tokens> Parse(absl::string_view text,
                                      absl::string_view path);

  // Errors: UNAUTHENTICATED for a token that is not in the file,
  // PERMISSION_DENIED for one without the scope. Takes the same time wherever
  // in the file a token is, and however much of it is right.
  absl::Status Check(absl::string_view token, Scope scope) const;
  // The same for the value of an `authorization` header, "Bearer <token>".
  absl::Status CheckAuthorization(absl::string_view authorization,
                                  Scope scope) const;

  size_t size() const { return entries_.size(); }

  bool operator==(const Tokens&) const = default;

 private:
  using Digest = std::array<uint8_t, 32>;
  struct Entry {
    Digest digest;
    std::set<Scope> scopes;

    bool operator==(const Entry&) const = default;
  };

  static Digest DigestOf(absl::string_view token);

  std::vector<Entry> entries_;
};

}  // namespace tern

#endif  // TERN_SERVER_TOKENS_H_

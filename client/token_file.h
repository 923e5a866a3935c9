// A bearer token in a file that may be replaced.
//
// Thread-safe.

#ifndef TERN_CLIENT_TOKEN_FILE_H_
#define TERN_CLIENT_TOKEN_FILE_H_

#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace tern {

class TokenFile {
 public:
  // Errors: NOT_FOUND for a file that cannot be read; INVALID_ARGUMENT for one
  // without a token.
  static absl::StatusOr<std::unique_ptr<TokenFile>> Open(
      const std::string& path, absl::Duration max_age = absl::Minutes(1));

  // The first word of the file. Reads it again if that was `max_age` ago
  // or longer; where it is bad then, the token stays.
  std::string Get();

 private:
  TokenFile(std::string path, absl::Duration max_age, std::string token)
      : path_(std::move(path)), max_age_(max_age), token_(std::move(token)) {}

  const std::string path_;
  const absl::Duration max_age_;

  std::mutex mutex_;
  std::string token_ ABSL_GUARDED_BY(mutex_);
  absl::Time read_at_ ABSL_GUARDED_BY(mutex_) = absl::Now();
};

}  // namespace tern

#endif  // TERN_CLIENT_TOKEN_FILE_H_

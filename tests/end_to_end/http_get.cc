#include "tests/end_to_end/http_get.h"

#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "tests/end_to_end/raw_connection.h"

namespace tern {
namespace {

// Sends `request` and reads until the server closes.
absl::StatusOr<std::string> Exchange(const std::string& target,
                                     const std::string& request) {
  auto connection = RawConnection::Open(target);
  if (!connection.ok()) return connection.status();
  if (!connection->Send(request)) {
    return absl::UnavailableError(absl::StrCat(target, " closed"));
  }
  std::string answer;
  while (!connection->closed()) {
    absl::StrAppend(&answer, connection->Receive(absl::InfiniteDuration()));
  }
  return answer;
}

}  // namespace

absl::StatusOr<std::string> HttpGet(const std::string& target,
                                    const std::string& path,
                                    const std::string& password) {
  // HTTP/1.0: the body ends where the connection does, in one piece.
  std::string request =
      absl::StrCat("GET ", path, " HTTP/1.0\r\nHost: ", target, "\r\n");
  if (!password.empty()) {
    absl::StrAppend(&request, "Authorization: Basic ",
                    absl::Base64Escape(absl::StrCat("user:", password)),
                    "\r\n");
  }
  auto answer = Exchange(target, absl::StrCat(request, "\r\n"));
  if (!answer.ok()) return answer;
  const std::pair<std::string, std::string> parts =
      absl::StrSplit(*answer, absl::MaxSplits("\r\n\r\n", 1));
  const std::string status = parts.first.substr(0, parts.first.find('\r'));
  if (!absl::StrContains(status, " 200")) return absl::UnknownError(status);
  return parts.second;
}

}  // namespace tern

#include "tests/end_to_end/http_get.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace tern {
namespace {

// Sends `request` and reads until the server closes.
absl::StatusOr<std::string> Exchange(const std::string& target,
                                     const std::string& request) {
  const std::pair<std::string, std::string> parts = absl::StrSplit(target, ':');
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  int port = 0;
  if (!absl::SimpleAtoi(parts.second, &port) ||
      inet_pton(AF_INET, parts.first.c_str(), &address.sin_addr) != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected ADDRESS:PORT, found '", target, "'"));
  }
  address.sin_port = htons(static_cast<uint16_t>(port));
  const int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connect(connection, reinterpret_cast<sockaddr*>(&address),
              sizeof address) != 0 ||
      write(connection, request.data(), request.size()) !=
          static_cast<ssize_t>(request.size())) {
    close(connection);
    return absl::UnavailableError(absl::StrCat("no connection to ", target));
  }
  std::string answer;
  char block[1 << 14];
  ssize_t got;
  while ((got = read(connection, block, sizeof block)) > 0) {
    answer.append(block, static_cast<size_t>(got));
  }
  close(connection);
  return answer;
}

}  // namespace

absl::StatusOr<std::string> HttpGet(const std::string& target,
                                    const std::string& path) {
  // HTTP/1.0: the body ends where the connection does, in one piece.
  auto answer = Exchange(
      target,
      absl::StrCat("GET ", path, " HTTP/1.0\r\nHost: ", target, "\r\n\r\n"));
  if (!answer.ok()) return answer;
  const std::pair<std::string, std::string> parts =
      absl::StrSplit(*answer, absl::MaxSplits("\r\n\r\n", 1));
  const std::string status = parts.first.substr(0, parts.first.find('\r'));
  if (!absl::StrContains(status, " 200")) return absl::UnknownError(status);
  return parts.second;
}

}  // namespace tern

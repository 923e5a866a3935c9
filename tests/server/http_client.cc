#include "tests/server/http_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace tern {
namespace {

// A socket that is closed at the end; -1 without a connection.
struct Connection {
  explicit Connection(const std::string& address) {
    const size_t colon = address.rfind(':');
    int port = 0;
    sockaddr_in to = {};
    to.sin_family = AF_INET;
    if (!absl::SimpleAtoi(address.substr(colon + 1), &port) ||
        inet_pton(AF_INET, address.substr(0, colon).c_str(), &to.sin_addr) !=
            1) {
      return;
    }
    to.sin_port = htons(static_cast<uint16_t>(port));
    socket = ::socket(AF_INET, SOCK_STREAM, 0);
    if (connect(socket, reinterpret_cast<sockaddr*>(&to), sizeof(to)) != 0) {
      close(socket);
      socket = -1;
    }
  }
  ~Connection() {
    if (socket != -1) close(socket);
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  int socket = -1;
};

}  // namespace

HttpReply HttpCall(const std::string& address, const std::string& method,
                   const std::string& path, const std::string& body,
                   const std::vector<std::string>& headers) {
  HttpReply reply;
  const Connection connection(address);
  if (connection.socket == -1) return reply;
  std::string request = absl::StrCat(
      method, " ", path, " HTTP/1.1\r\nHost: ", address,
      "\r\nConnection: close\r\nContent-Length: ", body.size(), "\r\n");
  for (const std::string& header : headers) {
    absl::StrAppend(&request, header, "\r\n");
  }
  absl::StrAppend(&request, "\r\n", body);
  for (size_t sent = 0; sent < request.size();) {
    const ssize_t bytes = send(connection.socket, request.data() + sent,
                               request.size() - sent, MSG_NOSIGNAL);
    if (bytes <= 0) break;  // refused early: the reply says why
    sent += bytes;
  }
  std::string text;
  char buffer[4096];
  for (ssize_t bytes;
       (bytes = recv(connection.socket, buffer, sizeof(buffer), 0)) > 0;) {
    text.append(buffer, bytes);
  }
  const size_t end = text.find("\r\n\r\n");
  const std::string start = "HTTP/1.1 ";
  if (end == std::string::npos || text.rfind(start, 0) != 0 ||
      !absl::SimpleAtoi(text.substr(start.size(), 3), &reply.status)) {
    return reply;
  }
  reply.header = text.substr(0, end);
  reply.body = text.substr(end + 4);
  return reply;
}

}  // namespace tern

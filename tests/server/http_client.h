// The least of an HTTP client, for tests on the loopback.

#ifndef TERN_TESTS_SERVER_HTTP_CLIENT_H_
#define TERN_TESTS_SERVER_HTTP_CLIENT_H_

#include <string>
#include <vector>

namespace tern {

struct HttpReply {
  int status = 0;      // 0: the connection failed or was closed
  std::string header;  // everything before the body
  std::string body;
};

// Sends a request to an IPv4 address and port on a connection of its own and
// reads the reply. `headers` are lines without their ends.
HttpReply HttpCall(const std::string& address, const std::string& method,
                   const std::string& path, const std::string& body = "",
                   const std::vector<std::string>& headers = {});

}  // namespace tern

#endif  // TERN_TESTS_SERVER_HTTP_CLIENT_H_

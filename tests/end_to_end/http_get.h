// The least of an HTTP client, for tests on the loopback.

#ifndef TERN_TESTS_END_TO_END_HTTP_GET_H_
#define TERN_TESTS_END_TO_END_HTTP_GET_H_

#include <string>

#include "absl/status/statusor.h"

namespace tern {

// The body of a 200 answer to GET `path` from `target`, an IPv4 address and
// port, with basic authentication where there is a `password`. Errors:
// UNAVAILABLE without a connection, UNKNOWN with the status line for any other
// answer.
absl::StatusOr<std::string> HttpGet(const std::string& target,
                                    const std::string& path,
                                    const std::string& password = "");

}  // namespace tern

#endif  // TERN_TESTS_END_TO_END_HTTP_GET_H_

// Clients that mean harm, or are broken: what they send is long, malformed,
// endless, never read or never finished.

#ifndef TERN_TESTS_END_TO_END_ABUSE_H_
#define TERN_TESTS_END_TO_END_ABUSE_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace tern {

struct AbuseOptions {
  std::string target;       // of gRPC
  std::string http_target;  // of HTTP/JSON
  std::string model;        // a classifier
  absl::Duration time = absl::Seconds(5);
  int connections = 1000;     // of an attack that holds them
  int huge_message_mb = 400;  // of the attack that sends one
};

struct AbuseReport {
  // How often the attack did what it does: calls, connections, streams.
  int64_t attempts = 0;
  // How these ended, where somebody waits for that: a gRPC code's or an HTTP
  // status's number, or "none".
  std::map<std::string, int64_t> ends;
  // Ends that the server should not have answered with.
  int64_t unexpected = 0;
};

// The names of all attacks, in the order of the list in docs/reliability.md.
std::vector<std::string> AttackNames();

// Errors: NOT_FOUND for an unknown name.
absl::StatusOr<AbuseReport> RunAttack(const std::string& name,
                                      const AbuseOptions& options);

}  // namespace tern

#endif  // TERN_TESTS_END_TO_END_ABUSE_H_

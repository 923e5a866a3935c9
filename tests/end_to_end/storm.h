// Calls of every kind at once: answered, cancelled half-way, with deadlines too
// short, and wrong ones. For the accounting afterwards.

#ifndef TERN_TESTS_END_TO_END_STORM_H_
#define TERN_TESTS_END_TO_END_STORM_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "tests/end_to_end/server_process.h"

namespace tern {

struct StormOptions {
  std::string model;  // a classifier
  int clients = 16;
  int calls = 4000;
  uint32_t seed = 1;
};

// How the calls ended, as the clients saw it.
struct StormReport {
  int64_t calls = 0;
  int64_t ok = 0;
  int64_t cancelled = 0;
  int64_t expired = 0;
  int64_t refused = 0;  // RESOURCE_EXHAUSTED
  int64_t unavailable = 0;
  int64_t invalid = 0;
  int64_t not_found = 0;
  int64_t other = 0;
};

StormReport RunStorm(const std::string& target, const StormOptions& options);

// What a server counted since it started.
struct Accounting {
  int64_t accepted = 0;
  int64_t answered = 0;
  int64_t failed = 0;
  int64_t cancelled = 0;
  int64_t expired = 0;
  int64_t rejected = 0;
  int64_t rejected_invalid = 0;
  int64_t rejected_not_found = 0;
};

// Waits until no request is in flight, and reads /metrics.
// Errors: DEADLINE_EXCEEDED where some still are after 30 s.
absl::StatusOr<Accounting> ReadAccounting(const std::string& metrics_target);

// Holds `accounting`, of a server that saw only this storm, against what its
// clients saw, and against itself: accepted = answered + failed + cancelled +
// expired. Errors: INTERNAL with the numbers of a sum that is not right.
absl::Status CheckAccounting(const StormReport& report,
                             const Accounting& accounting);

}  // namespace tern

#endif  // TERN_TESTS_END_TO_END_STORM_H_

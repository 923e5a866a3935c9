// Calls of one kind for some seconds, in a closed loop or at a fixed rate, and
// how they ended as their client saw it.

#ifndef TERN_TESTS_END_TO_END_CALL_LOAD_H_
#define TERN_TESTS_END_TO_END_CALL_LOAD_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "grpcpp/support/status.h"

namespace tern {

struct CallLoadOptions {
  std::string model;
  std::string tenant;  // value of the metadata key x-tenant; empty: none
  int texts = 1;       // of a call
  absl::Duration deadline = absl::Minutes(2);
  // Calls begun per second, whatever becomes of those before; 0: `clients`
  // make one after the other.
  double calls_per_second = 0;
  int clients = 8;
  absl::Duration time = absl::Seconds(10);
  uint32_t seed = 1;
};

struct CallLoadReport {
  absl::Duration time;  // until the last call had ended
  int64_t calls = 0;
  // Durations of calls by code, sorted.
  std::map<grpc::StatusCode, std::vector<absl::Duration>> durations;

  int64_t count(grpc::StatusCode code) const;
  // 0 <= part <= 1; zero where no call ended so.
  absl::Duration quantile(grpc::StatusCode code, double part) const;
};

CallLoadReport RunCallLoad(const std::string& target,
                           const CallLoadOptions& options);

}  // namespace tern

#endif  // TERN_TESTS_END_TO_END_CALL_LOAD_H_

// Random traffic through a scheduler on a virtual clock: requests of several
// tenants and models come, wait, expire, are cancelled, computed, or fail, and
// the scheduler is drained and replaced now and then. After every step it is
// held against a plain model of what it promises:
//   accounting  accepted = answered + failed + cancelled + expired + in flight,
//               each as `done` said, which is called exactly once;
//   bounds      requests, tokens and bytes that wait, and tokens of a batch;
//   order       a tenant's requests of a model are taken as they are due;
//   fairness    of two tenants that both have work waiting, neither is served
//               more than two turns and two sequences beyond the other;
//   drain       after Close nothing is accepted and everything ends.

#ifndef TERN_TESTS_SERVER_SCHEDULER_SIMULATION_H_
#define TERN_TESTS_SERVER_SCHEDULER_SIMULATION_H_

#include <cstdint>

#include "absl/status/statusor.h"

namespace tern {

struct SimulationReport {
  int64_t requests = 0;
  int64_t answered = 0;
  int64_t failed = 0;
  int64_t cancelled = 0;
  int64_t expired = 0;
  int64_t refused_full = 0;
  int64_t refused_late = 0;
  int64_t refused_closed = 0;
  int64_t drains = 0;
  int64_t largest_lead_tokens = 0;  // of a tenant over another, see above
  int64_t lead_bound_tokens = 0;
};

// Errors: INTERNAL with what did not hold, and in which step.
absl::StatusOr<SimulationReport> SimulateScheduler(int64_t requests,
                                                   uint32_t seed);

}  // namespace tern

#endif  // TERN_TESTS_SERVER_SCHEDULER_SIMULATION_H_

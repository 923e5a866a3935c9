// Calls something again and again, at a rate or as fast as it answers, and
// takes the time.
//
// A call at a rate has a due time, drawn beforehand as a Poisson process, and
// its latency counts from then on, whether or not a sender was free: a server
// that stalls is not spared the calls that it held up (no coordinated
// omission).

#ifndef TERN_CLIENT_LOAD_GENERATOR_H_
#define TERN_CLIENT_LOAD_GENERATOR_H_

#include <cstdint>
#include <functional>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/latency_histogram.h"

namespace tern {

struct Load {
  int senders = 1;  // threads: calls under way at most
  // Calls a second, or 0 for a closed loop: each sender calls again as soon as
  // it has its answer.
  double rate = 0;
  absl::Duration warm_up = absl::Seconds(1);  // calls that do not count
  absl::Duration duration = absl::Seconds(5);
};

struct LoadResult {
  LatencyHistogram latencies;  // of the calls due in `duration`, answered OK
  int64_t failed = 0;          // of those due in `duration`
  absl::Status first_failure;
  double calls_per_second = 0;  // that ended OK within `duration`
};

// Ends when the last call due within `load.duration` has ended. `call` gets
// 0, 1, 2, ... and runs on several threads at a time; `progress` gets the share
// done, in [0, 1], about ten times a second.
LoadResult RunLoad(const Load& load,
                   const std::function<absl::Status(int64_t index)>& call,
                   const std::function<void(double share)>& progress);

}  // namespace tern

#endif  // TERN_CLIENT_LOAD_GENERATOR_H_

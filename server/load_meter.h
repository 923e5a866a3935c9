// How busy the server is, as balancers ask: gRPC's weighted_round_robin gives a
// server requests in proportion to those that it answers with its CPU (gRFC
// A58, ORCA: gRFC A51).
//
// Thread-safe.

#ifndef TERN_SERVER_LOAD_METER_H_
#define TERN_SERVER_LOAD_METER_H_

#include <cstdint>
#include <mutex>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"

namespace tern {

class LoadMeter {
 public:
  explicit LoadMeter(int cores) : cores_(cores) {}

  // Says that a call ended at `now`, when the process had used `cpu` in all.
  // Returns the bytes of an xds.data.orca.v3.OrcaLoadReport on the last whole
  // period of a second or more; empty before there is one.
  std::string CountCall(absl::Time now, absl::Duration cpu);

 private:
  const int cores_;
  std::mutex mutex_;
  absl::Time begun_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  absl::Duration cpu_at_begin_ ABSL_GUARDED_BY(mutex_);
  int64_t calls_ ABSL_GUARDED_BY(mutex_) = 0;
  std::string report_ ABSL_GUARDED_BY(mutex_);
};

// Time on CPUs that this process has used, in and out of the kernel.
absl::Duration ProcessCpuTime();

}  // namespace tern

#endif  // TERN_SERVER_LOAD_METER_H_

// How busy the server is, as balancers ask: gRPC's weighted_round_robin gives a
// server requests in proportion to those that it answers with its CPU, fewer if
// it ends some in errors (gRFC A58; ORCA: gRFC A51).
//
// Thread-safe.

#ifndef TERN_SERVER_LOAD_METER_H_
#define TERN_SERVER_LOAD_METER_H_

#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"

namespace tern {

// Time on CPUs that this process has used, in and out of the kernel.
absl::Duration ProcessCpuTime();

class LoadMeter {
 public:
  explicit LoadMeter(int cores,
                     std::function<absl::Duration()> cpu_time = ProcessCpuTime)
      : cores_(cores), cpu_time_(std::move(cpu_time)) {}

  // Says that a call of any protocol ended.
  void CountCall(bool ok);

  // The bytes of an xds.data.orca.v3.OrcaLoadReport on the last whole period of
  // a second or more; empty before there is one.
  std::string Report(absl::Time now);

 private:
  const int cores_;
  const std::function<absl::Duration()> cpu_time_;
  std::mutex mutex_;
  absl::Time begun_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  absl::Duration cpu_at_begin_ ABSL_GUARDED_BY(mutex_);
  int64_t calls_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t errors_ ABSL_GUARDED_BY(mutex_) = 0;
  std::string report_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tern

#endif  // TERN_SERVER_LOAD_METER_H_

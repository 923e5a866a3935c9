// Counts latencies in buckets that are each at most 1/128 of their value wide,
// as HdrHistogram does; so percentiles of any size are right to 0.8%.
//
// One thread; Add() joins those of several threads.

#ifndef TERN_CLIENT_LATENCY_HISTOGRAM_H_
#define TERN_CLIENT_LATENCY_HISTOGRAM_H_

#include <cstdint>
#include <vector>

#include "absl/time/time.h"

namespace tern {

class LatencyHistogram {
 public:
  // Negative latencies count as 0.
  void Record(absl::Duration latency);
  void Add(const LatencyHistogram& other);

  int64_t count() const { return count_; }
  absl::Duration max() const { return absl::Nanoseconds(max_nanoseconds_); }
  // The latency that `percent` of all are at or below, rounded up to the end of
  // its bucket, but not past max(); zero where there is none.
  absl::Duration Percentile(double percent) const;

 private:
  std::vector<int64_t> counts_;  // by bucket; as long as the highest needs
  int64_t count_ = 0;
  int64_t max_nanoseconds_ = 0;
};

}  // namespace tern

#endif  // TERN_CLIENT_LATENCY_HISTOGRAM_H_

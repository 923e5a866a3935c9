#include "client/latency_histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace tern {
namespace {

// Below 2^kBits every nanosecond is a bucket; above, each power of two has
// 2^(kBits - 1) of them.
constexpr int kBits = 8;
constexpr int64_t kHalf = 1 << (kBits - 1);

size_t BucketOf(int64_t nanoseconds) {
  const int shift = std::max(
      0, static_cast<int>(std::bit_width(static_cast<uint64_t>(nanoseconds))) -
             kBits);
  return shift * kHalf + (nanoseconds >> shift);
}

// The largest value of a bucket.
int64_t EndOf(size_t bucket) {
  const int64_t shift =
      std::max<int64_t>(0, static_cast<int64_t>(bucket) / kHalf - 1);
  const int64_t mantissa = static_cast<int64_t>(bucket) - shift * kHalf;
  return ((mantissa + 1) << shift) - 1;
}

}  // namespace

void LatencyHistogram::Record(absl::Duration latency) {
  const int64_t nanoseconds =
      std::max<int64_t>(0, absl::ToInt64Nanoseconds(latency));
  const size_t bucket = BucketOf(nanoseconds);
  if (bucket >= counts_.size()) counts_.resize(bucket + 1);
  ++counts_[bucket];
  ++count_;
  max_nanoseconds_ = std::max(max_nanoseconds_, nanoseconds);
}

void LatencyHistogram::Add(const LatencyHistogram& other) {
  counts_.resize(std::max(counts_.size(), other.counts_.size()));
  for (size_t bucket = 0; bucket < other.counts_.size(); ++bucket) {
    counts_[bucket] += other.counts_[bucket];
  }
  count_ += other.count_;
  max_nanoseconds_ = std::max(max_nanoseconds_, other.max_nanoseconds_);
}

absl::Duration LatencyHistogram::Percentile(double percent) const {
  const auto wanted = static_cast<int64_t>(
      std::ceil(percent / 100 * static_cast<double>(count_)));
  int64_t seen = 0;
  for (size_t bucket = 0; bucket < counts_.size(); ++bucket) {
    seen += counts_[bucket];
    if (seen > 0 && seen >= wanted) {
      return absl::Nanoseconds(std::min(EndOf(bucket), max_nanoseconds_));
    }
  }
  return absl::ZeroDuration();
}

}  // namespace tern

#include "client/latency_histogram.h"

#include <gtest/gtest.h>

namespace tern {
namespace {

TEST(LatencyHistogramTest, HasNoLatencyAtFirst) {
  const LatencyHistogram histogram;
  EXPECT_EQ(histogram.count(), 0);
  EXPECT_EQ(histogram.Percentile(50), absl::ZeroDuration());
}

TEST(LatencyHistogramTest, GivesEachPercentileTo128thOfItself) {
  LatencyHistogram histogram;
  for (int i = 1; i <= 100000; ++i) histogram.Record(absl::Microseconds(i));

  EXPECT_EQ(histogram.count(), 100000);
  for (const double percent : {0.1, 1.0, 50.0, 90.0, 99.0, 99.9}) {
    const absl::Duration exact = absl::Microseconds(1000 * percent);
    const absl::Duration found = histogram.Percentile(percent);
    EXPECT_GE(found, exact) << percent;
    EXPECT_LE(found, exact + exact / 128) << percent;
  }
}

TEST(LatencyHistogramTest, TheHighestPercentileIsTheMaximumItself) {
  LatencyHistogram histogram;
  histogram.Record(absl::Microseconds(10));
  histogram.Record(absl::Nanoseconds(1234567));

  EXPECT_EQ(histogram.max(), absl::Nanoseconds(1234567));
  EXPECT_EQ(histogram.Percentile(100), histogram.max());
  EXPECT_LT(histogram.Percentile(50), absl::Microseconds(11));
}

TEST(LatencyHistogramTest, KeepsNanosecondsAndHours) {
  for (const absl::Duration latency :
       {absl::ZeroDuration(), absl::Nanoseconds(1), absl::Nanoseconds(255),
        absl::Nanoseconds(256), absl::Nanoseconds(257), absl::Hours(3)}) {
    LatencyHistogram histogram;
    histogram.Record(latency);
    EXPECT_EQ(histogram.Percentile(50), latency);
  }
}

TEST(LatencyHistogramTest, AddsThoseOfAnotherThread) {
  LatencyHistogram all, other;
  all.Record(absl::Milliseconds(1));
  other.Record(absl::Milliseconds(100));
  other.Record(absl::Milliseconds(100));

  all.Add(other);

  EXPECT_EQ(all.count(), 3);
  EXPECT_EQ(all.max(), absl::Milliseconds(100));
  EXPECT_EQ(all.Percentile(50), absl::Milliseconds(100));
}

}  // namespace
}  // namespace tern

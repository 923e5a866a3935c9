#include "server/load_meter.h"

#include <string>

#include "gtest/gtest.h"
#include "xds/data/orca/v3/orca_load_report.pb.h"

namespace tern {
namespace {

TEST(LoadMeterTest, ReportsCallsASecondAndTheShareOfTheCores) {
  absl::Duration cpu = absl::Seconds(7);
  LoadMeter meter(/*cores=*/4, [&cpu] { return cpu; });
  const absl::Time start = absl::FromUnixSeconds(1000);
  std::string bytes = meter.Report(start);
  EXPECT_EQ(bytes, "");
  // 10 calls a second, each with 0.2 s of CPU time; every fifth fails.
  for (int i = 1; i <= 20; ++i) {
    cpu += absl::Milliseconds(200);
    meter.CountCall(/*ok=*/i % 5 != 0);
    bytes = meter.Report(start + i * absl::Milliseconds(100));
  }

  xds::data::orca::v3::OrcaLoadReport report;
  ASSERT_TRUE(report.ParseFromString(bytes));
  EXPECT_DOUBLE_EQ(report.rps_fractional(), 10);
  EXPECT_DOUBLE_EQ(report.eps(), 2);
  EXPECT_DOUBLE_EQ(report.cpu_utilization(), 0.5);
}

TEST(LoadMeterTest, CpuTimeGrowsWithWork) {
  const absl::Duration before = ProcessCpuTime();
  while (ProcessCpuTime() == before) {
  }
  EXPECT_GT(ProcessCpuTime(), before);
}

}  // namespace
}  // namespace tern

#include "server/load_meter.h"

#include <ctime>

#include "xds/data/orca/v3/orca_load_report.pb.h"

namespace tern {
namespace {

constexpr absl::Duration kPeriod = absl::Seconds(1);

}  // namespace

std::string LoadMeter::CountCall(absl::Time now, absl::Duration cpu) {
  std::lock_guard lock(mutex_);
  ++calls_;
  const absl::Duration period = now - begun_;
  if (period < kPeriod) return report_;
  if (begun_ != absl::InfinitePast()) {
    xds::data::orca::v3::OrcaLoadReport report;
    report.set_cpu_utilization(
        absl::FDivDuration(cpu - cpu_at_begin_, period * cores_));
    report.set_rps_fractional(static_cast<double>(calls_) /
                              absl::ToDoubleSeconds(period));
    report_ = report.SerializeAsString();
  }
  begun_ = now;
  cpu_at_begin_ = cpu;
  calls_ = 0;
  return report_;
}

absl::Duration ProcessCpuTime() {
  timespec time = {};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return absl::DurationFromTimespec(time);
}

}  // namespace tern

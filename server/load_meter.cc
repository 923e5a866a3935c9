#include "server/load_meter.h"

#include <ctime>

#include "xds/data/orca/v3/orca_load_report.pb.h"

namespace tern {
namespace {

constexpr absl::Duration kPeriod = absl::Seconds(1);

}  // namespace

void LoadMeter::CountCall(bool ok) {
  std::lock_guard lock(mutex_);
  ++calls_;
  if (!ok) ++errors_;
}

std::string LoadMeter::Report(absl::Time now) {
  std::lock_guard lock(mutex_);
  const absl::Duration period = now - begun_;
  if (period < kPeriod) return report_;
  const absl::Duration cpu = cpu_time_();
  if (begun_ != absl::InfinitePast()) {
    const double seconds = absl::ToDoubleSeconds(period);
    xds::data::orca::v3::OrcaLoadReport report;
    report.set_cpu_utilization(
        absl::FDivDuration(cpu - cpu_at_begin_, period * cores_));
    report.set_rps_fractional(static_cast<double>(calls_) / seconds);
    report.set_eps(static_cast<double>(errors_) / seconds);
    report_ = report.SerializeAsString();
  }
  begun_ = now;
  cpu_at_begin_ = cpu;
  calls_ = errors_ = 0;
  return report_;
}

absl::Duration ProcessCpuTime() {
  timespec time = {};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return absl::DurationFromTimespec(time);
}

}  // namespace tern

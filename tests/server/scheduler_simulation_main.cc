// The program of script/verify scheduler-simulation.
//
//   scheduler_simulation [REQUESTS] : exits 0 only where every invariant held
//   after every step.

#include <cstdio>
#include <cstdlib>

#include "tests/server/scheduler_simulation.h"

int main(int argc, char** argv) {
  const int64_t requests = argc > 1 ? std::atoll(argv[1]) : 10000000;
  const auto report = tern::SimulateScheduler(requests, /*seed=*/1);
  if (!report.ok()) {
    std::fprintf(stderr, "%s\n", report.status().ToString().c_str());
    return 1;
  }
  const auto number = [](int64_t n) { return static_cast<long long>(n); };
  std::printf(
      "%lld simulated requests: answered %lld, failed %lld, cancelled %lld, "
      "expired %lld, refused full %lld and late %lld; %lld drains; no tenant "
      "more than %lld tokens ahead (bar %lld)\n",
      number(report->requests), number(report->answered),
      number(report->failed), number(report->cancelled),
      number(report->expired), number(report->refused_full),
      number(report->refused_late), number(report->drains),
      number(report->largest_lead_tokens), number(report->lead_bound_tokens));
  return 0;
}

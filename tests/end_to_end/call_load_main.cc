// The load of the figures overload, fairness and deadlines.
//
//   call_load ADDRESS : prints one line of name=value; times in milliseconds.

#include <cstdio>
#include <ctime>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "tests/end_to_end/call_load.h"

ABSL_FLAG(std::string, model, "", "Served classifier.");
ABSL_FLAG(std::string, tenant, "", "Value of the metadata key x-tenant.");
ABSL_FLAG(int, texts, 1, "Texts of a call.");
ABSL_FLAG(absl::Duration, deadline, absl::Minutes(2), "Of each call.");
ABSL_FLAG(double, rate, 0, "Calls per second; 0: a closed loop.");
ABSL_FLAG(int, clients, 8, "Clients of the closed loop.");
ABSL_FLAG(absl::Duration, time, absl::Seconds(10), "How long.");
ABSL_FLAG(uint32_t, seed, 1, "Of the texts.");

int main(int argc, char** argv) {
  const std::vector<char*> arguments = absl::ParseCommandLine(argc, argv);
  if (arguments.size() != 2) {
    std::fprintf(stderr, "call_load: expected ADDRESS\n");
    return 2;
  }
  const tern::CallLoadReport report = tern::RunCallLoad(
      arguments[1], {.model = absl::GetFlag(FLAGS_model),
                     .tenant = absl::GetFlag(FLAGS_tenant),
                     .texts = absl::GetFlag(FLAGS_texts),
                     .deadline = absl::GetFlag(FLAGS_deadline),
                     .calls_per_second = absl::GetFlag(FLAGS_rate),
                     .clients = absl::GetFlag(FLAGS_clients),
                     .time = absl::GetFlag(FLAGS_time),
                     .seed = absl::GetFlag(FLAGS_seed)});
  using grpc::StatusCode;
  const auto count = [&](StatusCode code) {
    return static_cast<long long>(report.count(code));
  };
  const auto milliseconds = [&](StatusCode code, double part) {
    return absl::ToDoubleMilliseconds(report.quantile(code, part));
  };
  const long long known = count(StatusCode::OK) +
                          count(StatusCode::RESOURCE_EXHAUSTED) +
                          count(StatusCode::DEADLINE_EXCEEDED);
  std::printf(
      "calls=%lld ok=%lld refused=%lld expired=%lld other=%lld seconds=%.3f "
      "ok_per_second=%.3f p50=%.3f p99=%.3f refused_p50=%.3f "
      "refused_p99=%.3f cpu_seconds=%.3f\n",
      static_cast<long long>(report.calls), count(StatusCode::OK),
      count(StatusCode::RESOURCE_EXHAUSTED),
      count(StatusCode::DEADLINE_EXCEEDED), report.calls - known,
      absl::ToDoubleSeconds(report.time),
      count(StatusCode::OK) / absl::ToDoubleSeconds(report.time),
      milliseconds(StatusCode::OK, 0.5), milliseconds(StatusCode::OK, 0.99),
      milliseconds(StatusCode::RESOURCE_EXHAUSTED, 0.5),
      milliseconds(StatusCode::RESOURCE_EXHAUSTED, 0.99),
      static_cast<double>(std::clock()) / CLOCKS_PER_SEC);
  return 0;
}

// The program of script/verify accounting.
//
//   storm ADDRESS METRICS_ADDRESS : exits 0 only where the server's accounts
//   are right after the storm. The server must be a fresh one.

#include <cstdio>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "tests/end_to_end/storm.h"

ABSL_FLAG(std::string, model, "", "Served classifier.");
ABSL_FLAG(int, calls, 20000, "Calls in the storm.");
ABSL_FLAG(int, clients, 32, "Clients that make them.");

int main(int argc, char** argv) {
  const std::vector<char*> arguments = absl::ParseCommandLine(argc, argv);
  if (arguments.size() != 3) {
    std::fprintf(stderr, "storm: expected ADDRESS METRICS_ADDRESS\n");
    return 2;
  }
  tern::StormOptions options;
  options.model = absl::GetFlag(FLAGS_model);
  options.calls = absl::GetFlag(FLAGS_calls);
  options.clients = absl::GetFlag(FLAGS_clients);
  const tern::StormReport report = tern::RunStorm(arguments[1], options);
  const auto accounting = tern::ReadAccounting(arguments[2]);
  const absl::Status status = accounting.ok()
                                  ? tern::CheckAccounting(report, *accounting)
                                  : accounting.status();
  if (!status.ok()) {
    std::fprintf(stderr, "storm: %s\n", status.ToString().c_str());
    return 1;
  }
  const auto number = [](int64_t n) { return static_cast<long long>(n); };
  std::printf(
      "%lld calls of %d clients: accepted %lld = answered %lld + "
      "failed %lld + cancelled %lld + expired %lld; rejected %lld\n",
      number(report.calls), options.clients, number(accounting->accepted),
      number(accounting->answered), number(accounting->failed),
      number(accounting->cancelled), number(accounting->expired),
      number(accounting->rejected));
  return 0;
}

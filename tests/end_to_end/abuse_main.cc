// The attacks of script/verify abuse.
//
//   abuse --attack=NAME --model=NAME ADDRESS HTTP_ADDRESS
//
// prints one line of name=value, the ends after their codes; exits 0 only where
// the server answered as it should. Without --attack it lists the names.

#include <cstdio>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "tests/end_to_end/abuse.h"

ABSL_FLAG(std::string, attack, "", "Which; empty: print the names.");
ABSL_FLAG(std::string, model, "", "Served classifier.");
ABSL_FLAG(absl::Duration, time, absl::Seconds(5), "How long.");
ABSL_FLAG(int, connections, 1000, "Of an attack that holds them.");

int main(int argc, char** argv) {
  const std::vector<char*> arguments = absl::ParseCommandLine(argc, argv);
  const std::string attack = absl::GetFlag(FLAGS_attack);
  if (attack.empty()) {
    for (const std::string& name : tern::AttackNames()) {
      std::printf("%s\n", name.c_str());
    }
    return 0;
  }
  if (arguments.size() != 3) {
    std::fprintf(stderr, "abuse: expected ADDRESS HTTP_ADDRESS\n");
    return 2;
  }
  const auto report = tern::RunAttack(
      attack, {.target = arguments[1],
               .http_target = arguments[2],
               .model = absl::GetFlag(FLAGS_model),
               .time = absl::GetFlag(FLAGS_time),
               .connections = absl::GetFlag(FLAGS_connections)});
  if (!report.ok()) {
    std::fprintf(stderr, "abuse: %s\n", report.status().ToString().c_str());
    return 2;
  }
  std::printf("attempts=%lld unexpected=%lld",
              static_cast<long long>(report->attempts),
              static_cast<long long>(report->unexpected));
  for (const auto& [end, count] : report->ends) {
    std::printf(" %s=%lld", end.c_str(), static_cast<long long>(count));
  }
  std::printf("\n");
  return report->unexpected == 0 ? 0 : 1;
}

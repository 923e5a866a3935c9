// `tern health`

#include <cstdio>
#include <string>

#include "absl/time/clock.h"
#include "client/command.h"

namespace tern {
namespace {

constexpr char kDescription[] = R"(
Prints whether the server takes requests: SERVING (exit code 0), NOT_SERVING or
UNKNOWN (exit code 1).
)";

constexpr char kExamples[] = R"(  tern health
  tern health --wait 10s && tern classify "a gripping film"
)";

const char* HealthName(ServerHealth health) {
  switch (health) {
    case ServerHealth::kServing:
      return "SERVING";
    case ServerHealth::kNotServing:
      return "NOT_SERVING";
    case ServerHealth::kUnknown:
      break;
  }
  return "UNKNOWN";
}

}  // namespace

int HealthCommand(int argc, char** argv) {
  Connection connection;
  connection.options.deadline = absl::Seconds(5);
  // Health is asked about now; waiting is --wait's.
  connection.options.retry = false;
  std::string service;
  absl::Duration wait = absl::ZeroDuration();
  CommandLine line("health", "", kDescription, kExamples);
  line.Add("wait", "DURATION", "wait at most this long for SERVING", &wait);
  line.Add("service", "NAME",
           "one gRPC service, e.g. tern.v1.InferenceService (default: the "
           "whole server)",
           &service);
  connection.AddTo(line);

  const absl::Status parsed = line.ParseOptions(argc, argv);
  if (!parsed.ok()) return WrongUsage(line, parsed);
  const auto client = connection.Open();
  if (!client.ok()) return WrongUsage(line, client.status());

  const absl::Time end = absl::Now() + wait;
  auto health = (*client)->Health(service);
  while (absl::Now() < end &&
         (!health.ok() || *health != ServerHealth::kServing)) {
    absl::SleepFor(absl::Milliseconds(50));
    health = (*client)->Health(service);
  }
  if (!health.ok()) return FailedCall(health.status(), connection);
  std::puts(HealthName(*health));
  const int written = EndOfOutput();
  return *health == ServerHealth::kServing ? written : kExitFailed;
}

}  // namespace tern

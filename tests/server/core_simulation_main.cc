// The program of script/verify core-simulation.
//
//   core_simulation BATCH_SECONDS TOKEN_SECONDS CALL_SECONDS BATCH_BYTES
//                   BYTES_PER_SECOND CORES CLIENTS < lengths
// reads the tokens of each request from stdin and prints a line of JSON.

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "tests/server/core_simulation.h"

int main(int argc, char** argv) {
  if (argc != 8) {
    std::fprintf(stderr,
                 "Usage: core_simulation BATCH_SECONDS TOKEN_SECONDS "
                 "CALL_SECONDS BATCH_BYTES BYTES_PER_SECOND CORES CLIENTS\n");
    return 2;
  }
  const tern::SimulatedMachine machine = {
      .cores = std::atoi(argv[6]),
      .seconds_per_batch = std::atof(argv[1]),
      .seconds_per_token = std::atof(argv[2]),
      .seconds_per_call = std::atof(argv[3]),
      .bytes_per_batch = std::atof(argv[4]),
      .bytes_per_second = std::atof(argv[5])};
  tern::SimulatedLoad load = {.clients = std::atoi(argv[7])};
  for (int length; std::scanf("%d", &length) == 1;) {
    load.lengths.push_back(length);
  }
  if (machine.cores < 1 || load.clients < 1 || load.lengths.empty()) {
    std::fprintf(stderr, "core_simulation: no cores, clients or lengths\n");
    return 2;
  }
  // Each client sends some twenty.
  load.requests = std::max<int64_t>(20000, int64_t{20} * load.clients);
  const tern::CoreReport report = tern::SimulateCores(machine, load);
  std::printf(
      "{\"requestsPerSecond\": %.1f, \"p50\": %.6f, \"p99\": %.6f, "
      "\"tokensPerBatch\": %.1f, \"schedulerSecondsPerRequest\": %.9f}\n",
      report.requests_per_second, report.p50_seconds, report.p99_seconds,
      report.tokens_per_batch, report.scheduler_seconds_per_request);
  return 0;
}

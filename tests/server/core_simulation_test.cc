#include "tests/server/core_simulation.h"

#include "gtest/gtest.h"

namespace tern {
namespace {

constexpr SimulatedMachine kMachine = {.seconds_per_batch = 1e-3,
                                       .seconds_per_token = 1e-4,
                                       .seconds_per_call = 0};
// Ten of them fill a batch.
const SimulatedLoad kLoad = {.clients = 100,
                             .lengths = {100},
                             .requests = 20000,
                             .max_batch_tokens = 1000};
constexpr double kBatchesPerSecond = 1 / (1e-3 + 1000 * 1e-4);

TEST(CoreSimulationTest, OneCoreComputesFullBatchesOneAfterAnother) {
  const CoreReport report = SimulateCores(kMachine, kLoad);

  EXPECT_NEAR(report.requests_per_second, 10 * kBatchesPerSecond,
              0.01 * 10 * kBatchesPerSecond);
  EXPECT_NEAR(report.tokens_per_batch, 1000, 10);
  // 100 requests wait for each other.
  EXPECT_NEAR(report.p50_seconds, 10 / kBatchesPerSecond,
              0.1 * 10 / kBatchesPerSecond);
  EXPECT_GT(report.scheduler_seconds_per_request, 0);
}

TEST(CoreSimulationTest, ACallTakesItsTimeFromTheBatches) {
  SimulatedMachine machine = kMachine;
  machine.seconds_per_call = 2e-3;

  const double expected = 1 / (0.1 / kBatchesPerSecond + 2e-3);
  EXPECT_NEAR(SimulateCores(machine, kLoad).requests_per_second, expected,
              0.02 * expected);
}

TEST(CoreSimulationTest, MoreCoresServeAsManyTimesMoreOfEnoughClients) {
  SimulatedMachine machine = kMachine;
  machine.cores = 8;
  SimulatedLoad load = kLoad;
  load.clients = 800;

  EXPECT_NEAR(SimulateCores(machine, load).requests_per_second,
              80 * kBatchesPerSecond, 0.02 * 80 * kBatchesPerSecond);
}

TEST(CoreSimulationTest, ALoneClientKeepsOneCoreBusy) {
  SimulatedMachine machine = kMachine;
  machine.cores = 8;
  SimulatedLoad load = kLoad;
  load.clients = 1;

  EXPECT_NEAR(SimulateCores(machine, load).requests_per_second,
              1 / (1e-3 + 100 * 1e-4), 1);
}

TEST(CoreSimulationTest, BatchesShareTheMemorysBandwidth) {
  SimulatedMachine machine = kMachine;
  machine.cores = 8;
  machine.bytes_per_batch = 1e6;
  machine.bytes_per_second = 1e6 * kBatchesPerSecond * 2;  // enough for two
  SimulatedLoad load = kLoad;
  load.clients = 800;

  EXPECT_NEAR(SimulateCores(machine, load).requests_per_second,
              20 * kBatchesPerSecond, 0.02 * 20 * kBatchesPerSecond);
}

}  // namespace
}  // namespace tern

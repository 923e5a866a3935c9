// Scheduler, workers and engine on many threads, without gRPC between them, so
// that ThreadSanitizer sees every handover.

#include "server/worker.h"

#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tests/server/running_server.h"

namespace tern {
namespace {

TEST(WorkerTest, EveryRequestEndsOnceWhateverClientsDo) {
  constexpr int kClients = 4, kRequests = 60, kWorkers = 3;
  MonotonicClock clock;
  Scheduler scheduler({.max_batch_tokens = 128, .max_waiting_requests = 8},
                      &clock);
  Metrics metrics(&scheduler);
  CoreBudget cores(2);
  const auto model =
      LoadServedModel({.name = "a", .folder = TinyFolder("classifier")}, true);
  ASSERT_TRUE(model.ok()) << model.status();
  std::vector<std::unique_ptr<Worker>> workers;
  for (int w = 0; w < kWorkers; ++w) {
    workers.push_back(std::make_unique<Worker>(
        Worker::Options{.max_batch_tokens = 128, .max_threads = 2}, &clock,
        &scheduler, &cores, &metrics, std::vector{*model}));
  }

  std::mutex mutex;
  int accepted = 0, refused = 0, done = 0, incomplete = 0;
  std::vector<std::thread> clients;
  for (int c = 0; c < kClients; ++c) {
    clients.emplace_back([&, c] {
      std::mt19937 random(c);
      for (int i = 0; i < kRequests; ++i) {
        auto request = std::make_shared<Request>();
        request->model = *model;
        for (int s = random() % 4; s >= 0; --s) {
          request->sequences.push_back(*(*model)->tokenizer->Encode(
              std::string(1 + random() % 90, '!'), 128));
        }
        if (random() % 4 == 0) {
          request->deadline = clock.Now() + absl::Microseconds(random() % 3000);
        }
        request->done = [&, raw = request.get()](const absl::Status& status) {
          std::lock_guard lock(mutex);
          ++done;
          if (status.ok()) {
            for (const auto& logits : raw->logits) {
              if (logits.size() != 3) ++incomplete;
            }
          }
        };
        const bool taken = scheduler.Push(request).ok();
        if (random() % 5 == 0) {
          scheduler.Abandon(request, Awaited::kCancelled);
        }
        std::lock_guard lock(mutex);
        ++(taken ? accepted : refused);
      }
    });
  }
  for (std::thread& client : clients) client.join();
  scheduler.Close();
  workers.clear();

  const Scheduler::Counts counts = scheduler.counts();
  std::lock_guard lock(mutex);
  EXPECT_EQ(accepted + refused, kClients * kRequests);
  EXPECT_EQ(done, accepted);
  EXPECT_EQ(incomplete, 0);
  EXPECT_EQ(counts.accepted, accepted);
  EXPECT_EQ(counts.in_flight, 0);
  EXPECT_EQ(counts.accepted, counts.answered + counts.failed +
                                 counts.cancelled + counts.expired);
  EXPECT_GT(counts.answered, 0);
  EXPECT_EQ(counts.failed, 0);
}

}  // namespace
}  // namespace tern

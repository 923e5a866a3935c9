// The end of a server's life: nothing that was accepted is lost.

#include <future>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "gtest/gtest.h"
#include "tests/server/running_server.h"

namespace tern {
namespace {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

TEST(ServerDrainTest, AcceptedRequestsAreAnswered) {
  constexpr int kCalls = 20;
  RunningServer running;
  auto cores = running.HoldAllCores();
  std::vector<std::future<grpc::Status>> calls;
  for (int i = 0; i < kCalls; ++i) {
    calls.push_back(std::async(std::launch::async, [&running, i] {
      grpc::ClientContext context;
      v1::ClassifyResponse response;
      return running.inference->Classify(
          &context, MakeClassify({absl::StrCat("text ", i)}), &response);
    }));
  }
  running.AwaitAccepted(kCalls);

  auto drained =
      std::async(std::launch::async, [&running] { running.server->Drain(); });
  absl::SleepFor(absl::Milliseconds(100));
  cores.clear();
  drained.get();

  for (auto& call : calls) {
    const grpc::Status status = call.get();
    EXPECT_TRUE(status.ok()) << status.error_message();
  }
  const Scheduler::Counts counts = running.server->scheduler().counts();
  EXPECT_EQ(counts.accepted, kCalls);
  EXPECT_EQ(counts.answered, kCalls);
  EXPECT_EQ(counts.in_flight, 0);
}

TEST(ServerDrainTest, HealthSaysNotServingFirstAndRequestsAreStillTaken) {
  RunningServer running(
      [](Options& options) { options.lame_duck = absl::Seconds(1); });
  auto health = grpc::health::v1::Health::NewStub(running.channel);
  grpc::ClientContext watch_context;
  auto watch = health->Watch(&watch_context, HealthCheckRequest());
  HealthCheckResponse response;
  ASSERT_TRUE(watch->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::SERVING);

  auto drained =
      std::async(std::launch::async, [&running] { running.server->Drain(); });

  ASSERT_TRUE(watch->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::NOT_SERVING);
  grpc::ClientContext check_context, classify_context;
  ASSERT_TRUE(health->Check(&check_context, {}, &response).ok());
  EXPECT_EQ(response.status(), HealthCheckResponse::NOT_SERVING);
  v1::ClassifyResponse classified;
  EXPECT_TRUE(
      running.inference
          ->Classify(&classify_context, MakeClassify({"late"}), &classified)
          .ok());
  // The stream ends by itself: the drain does not wait for it.
  EXPECT_FALSE(watch->Read(&response));
  EXPECT_EQ(watch->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  drained.get();
}

TEST(ServerDrainTest, WatchingAnUnknownServiceSaysSo) {
  RunningServer running;
  auto health = grpc::health::v1::Health::NewStub(running.channel);
  grpc::ClientContext context;
  HealthCheckRequest request;
  request.set_service("nobody");
  auto watch = health->Watch(&context, request);
  HealthCheckResponse response;

  ASSERT_TRUE(watch->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::SERVICE_UNKNOWN);
  context.TryCancel();
  EXPECT_EQ(watch->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

TEST(ServerDrainTest, WatchingALongerNameThanAServiceHasIsRefused) {
  RunningServer running;
  auto health = grpc::health::v1::Health::NewStub(running.channel);
  grpc::ClientContext context;
  HealthCheckRequest request;
  request.set_service(std::string(1 << 20, 'x'));
  auto watch = health->Watch(&context, request);
  HealthCheckResponse response;

  EXPECT_FALSE(watch->Read(&response));
  const grpc::Status status = watch->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(status.error_message(),
            "service: expected a request of at most 1024 bytes, found 1048580");
}

TEST(ServerDrainTest, WhatDoesNotEndInTimeIsCancelled) {
  RunningServer running(
      [](Options& options) { options.drain_timeout = absl::ZeroDuration(); });
  auto cores = running.HoldAllCores();
  auto call = std::async(std::launch::async, [&running] {
    grpc::ClientContext context;
    v1::ClassifyResponse response;
    return running.inference->Classify(&context, MakeClassify({"text"}),
                                       &response);
  });
  running.AwaitAccepted(1);
  auto drained =
      std::async(std::launch::async, [&running] { running.server->Drain(); });
  EXPECT_FALSE(call.get().ok());

  const Scheduler::Counts counts = running.AwaitNoneInFlight();
  EXPECT_EQ(counts.accepted, 1);
  EXPECT_EQ(counts.cancelled, 1);
  cores.clear();
  drained.get();
}

}  // namespace
}  // namespace tern

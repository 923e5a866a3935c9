// A worker or a handler whom memory fails, a worker who gets stuck.

#include <atomic>
#include <cstdlib>
#include <future>
#include <map>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "gtest/gtest.h"
#include "model/safetensors.h"
#include "tests/server/running_server.h"
#include "tests/tiny_model.h"

namespace {
// Allocations of exactly this size fail, on all threads; 0: none.
std::atomic<size_t> failing_bytes = 0;
}  // namespace

// GCC sees through inlined calls that new is malloc, and does not know why.
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"

void* operator new(size_t bytes) {
  void* memory = bytes == failing_bytes ? nullptr : std::malloc(bytes);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
// std::stable_sort's, which ends in the delete below as well.
void* operator new(size_t bytes, const std::nothrow_t&) noexcept {
  return std::malloc(bytes);
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }

namespace tern {
namespace {

using grpc::health::v1::HealthCheckResponse;

TEST(WorkerFaultTest, AWorkerOutOfMemoryFailsTheRequestAndLives) {
  RunningServer running;
  const auto model = running.server->models().Find("classifier", "");
  ASSERT_TRUE(model.ok());
  const auto ask = [&] {
    std::promise<absl::Status> ended;
    auto request = std::make_shared<Request>();
    request->model = *model;
    request->sequences.push_back(*(*model)->tokenizer->Encode("text", 16));
    request->done = [&](const absl::Status& status) {
      failing_bytes = 0;
      ended.set_value(status);
    };
    EXPECT_EQ(running.server->scheduler().Push(request), absl::OkStatus());
    return ended.get_future().get();
  };

  EXPECT_EQ(ask(), absl::OkStatus());
  failing_bytes = 3 * sizeof(float);
  const absl::Status failed = ask();
  EXPECT_EQ(failed.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(failed.message(), ::testing::HasSubstr("bad_alloc"));
  EXPECT_EQ(ask(), absl::OkStatus());
  EXPECT_EQ(running.server->scheduler().counts().failed, 1);
}

TEST(WorkerFaultTest, AHandlerOutOfMemoryFailsTheCallAndLives) {
  RunningServer running;
  const std::string text(300'000, 'a');
  const auto ask = [&] {
    grpc::ClientContext context;
    v1::ClassifyResponse response;
    return running.inference->Classify(&context, MakeClassify({text}),
                                       &response);
  };

  EXPECT_TRUE(ask().ok());
  grpc::ClientContext context;
  v1::ClassifyRequest request = MakeClassify({text});
  v1::ClassifyResponse response;
  failing_bytes = text.size() + 1;  // the field that the message is read into
  const grpc::Status failed =
      running.inference->Classify(&context, request, &response);
  failing_bytes = 0;
  EXPECT_EQ(failed.error_code(), grpc::StatusCode::INTERNAL);
  EXPECT_THAT(failed.error_message(), ::testing::HasSubstr("bad_alloc"));
  EXPECT_TRUE(ask().ok());
}

// Finite weights, whose products are not.
TEST(WorkerFaultTest, AModelThatComputesInfinityFailsItsCalls) {
  const std::string folder = ::testing::TempDir() + "huge";
  ASSERT_EQ(WriteTinyModel(folder), absl::OkStatus());
  {
    const auto file = Safetensors::Open(folder + "/model.safetensors");
    ASSERT_TRUE(file.ok()) << file.status();
    std::map<std::string, Tensor> tensors = (*file)->tensors();
    Tensor& weight = tensors.at("classifier.weight");
    const std::vector<float> huge(weight.size(), 3e38f);
    weight.bytes = {reinterpret_cast<const uint8_t*>(huge.data()),
                    huge.size() * sizeof(float)};
    ASSERT_EQ(WriteSafetensors(folder + "/model.safetensors", tensors, {}),
              absl::OkStatus());
  }
  RunningServer running([&](Options& options) {
    options.models.push_back({.name = "huge", .folder = folder});
  });
  grpc::ClientContext context;
  v1::ClassifyRequest request = MakeClassify({"text"});
  request.set_model("huge");
  v1::ClassifyResponse response;
  const grpc::Status failed =
      running.inference->Classify(&context, request, &response);
  EXPECT_EQ(failed.error_code(), grpc::StatusCode::INTERNAL);
  EXPECT_THAT(failed.error_message(),
              ::testing::HasSubstr("the model's scores are no finite numbers"));
}

HealthCheckResponse::ServingStatus Health(RunningServer& running) {
  grpc::ClientContext context;
  HealthCheckResponse response;
  EXPECT_TRUE(grpc::health::v1::Health::NewStub(running.channel)
                  ->Check(&context, {}, &response)
                  .ok());
  return response.status();
}

void AwaitHealth(RunningServer& running,
                 HealthCheckResponse::ServingStatus status) {
  while (Health(running) != status) absl::SleepFor(absl::Milliseconds(1));
}

TEST(WorkerFaultTest, AStuckWorkerShowsInHealthAndMetrics) {
  RunningServer running(
      [](Options& options) { options.stuck_after = absl::Milliseconds(100); });
  const auto model = running.server->models().Find("classifier", "");
  ASSERT_TRUE(model.ok());
  std::promise<void> go_on;
  auto request = std::make_shared<Request>();
  request->model = *model;
  request->sequences.push_back(*(*model)->tokenizer->Encode("text", 16));
  // On the worker's thread.
  request->done = [&](const absl::Status&) { go_on.get_future().wait(); };
  ASSERT_EQ(running.server->scheduler().Push(request), absl::OkStatus());

  AwaitHealth(running, HealthCheckResponse::NOT_SERVING);
  EXPECT_THAT(running.server->metrics().Text(),
              ::testing::HasSubstr("tern_stuck_workers 1"));
  // The other worker goes on.
  grpc::ClientContext context;
  v1::ClassifyResponse response;
  EXPECT_TRUE(
      running.inference->Classify(&context, MakeClassify({"a"}), &response)
          .ok());

  go_on.set_value();
  AwaitHealth(running, HealthCheckResponse::SERVING);
  EXPECT_THAT(running.server->metrics().Text(),
              ::testing::HasSubstr("tern_stuck_workers 0"));
}

}  // namespace
}  // namespace tern

#include "tests/server/running_server.h"

#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "tests/tiny_model.h"

namespace tern {

std::string TinyFolder(const std::string& name) {
  TinyModelOptions options;
  if (name == "answerer") options.task = TinyTask::kQuestionAnswering;
  const std::string folder = ::testing::TempDir() + name;
  EXPECT_EQ(WriteTinyModel(folder, options), absl::OkStatus());
  return folder;
}

RunningServer::RunningServer(const std::function<void(Options&)>& change) {
  SetUpLog(LogFormat::kText, LogLevel::kError);
  Options options;
  for (const char* name : {"classifier", "answerer"}) {
    options.models.push_back({.name = name, .folder = TinyFolder(name)});
  }
  options.listen = "127.0.0.1:0";
  options.max_message_bytes = 4 << 20;
  options.max_inputs = 1024;
  options.workers = 2;
  options.threads = 2;
  options.max_batch_tokens = 512;
  options.max_waiting_requests = 1024;
  options.max_waiting_tokens = 1 << 18;
  options.max_waiting_bytes = 256 << 20;
  options.drain_timeout = absl::Seconds(20);
  change(options);
  auto started = Server::Start(options);
  EXPECT_EQ(started.status(), absl::OkStatus());
  if (!started.ok()) return;
  server = *std::move(started);
  channel = grpc::CreateChannel(server->address(),
                                grpc::InsecureChannelCredentials());
  inference = v1::InferenceService::NewStub(channel);
  models = v1::ModelService::NewStub(channel);
}

std::vector<CoreBudget::Lease> RunningServer::HoldAllCores() {
  std::vector<CoreBudget::Lease> leases;
  leases.push_back(server->cores().Acquire());
  leases.front().ExtendTo(1 << 20);
  return leases;
}

void RunningServer::AwaitAccepted(int64_t requests) {
  const absl::Time give_up = absl::Now() + absl::Seconds(20);
  while (server->scheduler().counts().accepted < requests) {
    ASSERT_LT(absl::Now(), give_up);
    absl::SleepFor(absl::Milliseconds(1));
  }
}

Scheduler::Counts RunningServer::AwaitNoneInFlight() {
  const absl::Time give_up = absl::Now() + absl::Seconds(20);
  while (server->scheduler().counts().in_flight > 0) {
    EXPECT_LT(absl::Now(), give_up);
    if (absl::Now() > give_up) break;
    absl::SleepFor(absl::Milliseconds(1));
  }
  return server->scheduler().counts();
}

v1::ClassifyRequest MakeClassify(const std::vector<std::string>& texts) {
  v1::ClassifyRequest request;
  for (const std::string& text : texts) request.add_inputs()->set_text(text);
  return request;
}

}  // namespace tern

#include "tests/end_to_end/batch_invariance.h"

#include <atomic>
#include <memory>
#include <mutex>
#include <random>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "client/client.h"

namespace tern {
namespace {

std::unique_ptr<Client> NewClient(const std::string& target, int number) {
  ClientOptions options;
  options.deadline = absl::Minutes(5);
  // gRPC would share a connection between channels that are all the same.
  options.user_agent = absl::StrCat("tern-test-", number);
  return Client::Create(target, options).value();
}

v1::ClassifyRequest NewRequest(const std::string& model) {
  v1::ClassifyRequest request;
  request.set_model(model);
  request.set_return_logits(true);
  return request;
}

}  // namespace

absl::StatusOr<std::vector<std::string>> ClassifyAlone(
    const std::string& target, const std::string& model,
    const std::vector<std::string>& texts) {
  const std::unique_ptr<Client> client = NewClient(target, 0);
  std::vector<std::string> answers;
  for (const std::string& text : texts) {
    v1::ClassifyRequest request = NewRequest(model);
    request.add_inputs()->set_text(text);
    const auto response = client->Classify(request);
    if (!response.ok()) return response.status();
    answers.push_back(response->results(0).SerializeAsString());
  }
  return answers;
}

absl::StatusOr<CrowdReport> ClassifyInCrowd(
    const std::string& target, const std::string& model,
    const std::vector<std::string>& texts,
    const std::vector<std::string>& alone, const Crowd& crowd) {
  std::atomic<int> requests_left = crowd.requests;
  std::mutex mutex;
  CrowdReport report;    // guarded by mutex until the threads have ended
  absl::Status failure;  // likewise

  const auto run_client = [&](int number) {
    const std::unique_ptr<Client> client = NewClient(target, number);
    std::mt19937 random(crowd.seed * 1000 + number);
    std::uniform_int_distribution<int> input_count(1, crowd.max_inputs);
    std::uniform_int_distribution<size_t> any_text(0, texts.size() - 1);
    while (requests_left.fetch_sub(1) > 0) {
      v1::ClassifyRequest request = NewRequest(model);
      std::vector<size_t> drawn(input_count(random));
      for (size_t& text : drawn) {
        text = any_text(random);
        request.add_inputs()->set_text(texts[text]);
      }
      const auto response = client->Classify(request);
      std::lock_guard lock(mutex);
      if (!response.ok()) {
        failure.Update(response.status());
        return;
      }
      for (size_t i = 0; i < drawn.size(); ++i) {
        const v1::ClassifyResult& result =
            response->results(static_cast<int>(i));
        ++report.inputs;
        if (result.SerializeAsString() == alone[drawn[i]]) continue;
        ++report.differences;
        if (report.first_difference.empty()) {
          v1::ClassifyResult expected;
          expected.ParseFromString(alone[drawn[i]]);
          report.first_difference =
              absl::StrCat("text: ", texts[drawn[i]],
                           "\nalone: ", expected.ShortDebugString(),
                           "\nin the crowd: ", result.ShortDebugString());
        }
      }
    }
  };

  std::vector<std::thread> threads;
  for (int number = 1; number <= crowd.clients; ++number) {
    threads.emplace_back(run_client, number);
  }
  for (std::thread& thread : threads) thread.join();
  if (!failure.ok()) return failure;
  return report;
}

}  // namespace tern

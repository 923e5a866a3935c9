#include "tests/end_to_end/soak_traffic.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <future>
#include <memory>
#include <random>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/client.h"
#include "client/read_file.h"
#include "client/service_config.h"
#include "inference/grpc_inference_service.grpc.pb.h"
#include "tern/v1/inference_service.grpc.pb.h"
#include "tests/end_to_end/random_texts.h"
#include "tests/end_to_end/raw_connection.h"

namespace tern {
namespace {

using grpc::StatusCode;

constexpr int kPrintedErrors = 10;
constexpr absl::Duration kPatience = absl::Minutes(1);

v1::ClassifyRequest Classify(const std::string& model, int texts,
                             uint32_t seed) {
  v1::ClassifyRequest request;
  request.set_model(model);
  for (const std::string& text : RandomTexts(texts, seed)) {
    request.add_inputs()->set_text(text);
  }
  return request;
}

std::shared_ptr<grpc::Channel> MakeChannel(const SoakTarget& target) {
  grpc::SslCredentialsOptions tls;
  tls.pem_root_certs = ReadFile(target.root_file).value();
  grpc::ChannelArguments arguments;
  arguments.SetServiceConfigJSON(kServiceConfig);
  return grpc::CreateCustomChannel(target.watched, grpc::SslCredentials(tls),
                                   arguments);
}

void Prepare(grpc::ClientContext& context, const std::string& token,
             absl::Duration deadline = kPatience) {
  if (!token.empty()) {
    context.AddMetadata("authorization", absl::StrCat("Bearer ", token));
  }
  context.set_deadline(absl::ToChronoTime(absl::Now() + deadline));
}

// A full queue explains any call's end.
absl::Status Expect(const grpc::Status& status,
                    const std::set<StatusCode>& expected) {
  if (status.error_code() == StatusCode::RESOURCE_EXHAUSTED) {
    return absl::OkStatus();
  }
  if (expected.count(status.error_code()) > 0) return absl::OkStatus();
  return absl::UnknownError(absl::StrCat("unexpected end with code ",
                                         status.error_code(), ": ",
                                         status.error_message()));
}

// Calls of Classify that are all under way at once.
class Burst {
 public:
  Burst(v1::InferenceService::Stub* stub, const std::string& token, int calls)
      : calls_(calls) {
    for (Call& call : calls_) {
      Prepare(call.context, token);
      call.context.AddMetadata("x-tenant", "burst");
      call.request = Classify("sst2", 4, /*seed=*/7);
      stub->async()->Classify(
          &call.context, &call.request, &call.response,
          [this, &call](const grpc::Status& status) { End(call, status); });
    }
  }

  absl::Status Await(const std::set<StatusCode>& expected) {
    std::unique_lock lock(mutex_);
    all_.wait(lock, [this] { return ended_ == calls_.size(); });
    absl::Status status;
    for (const Call& call : calls_) {
      status.Update(Expect(call.status, expected));
    }
    return status;
  }

 private:
  struct Call {
    grpc::ClientContext context;
    v1::ClassifyRequest request;
    v1::ClassifyResponse response;
    grpc::Status status;
  };

  void End(Call& call, const grpc::Status& status) {
    std::lock_guard lock(mutex_);
    call.status = status;
    if (++ended_ == calls_.size()) all_.notify_one();
  }

  std::vector<Call> calls_;
  std::mutex mutex_;
  std::condition_variable all_;
  size_t ended_ = 0;
};

absl::Status HttpClassify(const SoakTarget& target) {
  const std::string body =
      R"({"model": "sst2", "inputs": [{"text": "a gripping film"}]})";
  auto connection = RawConnection::Open(target.http);
  if (!connection.ok()) return connection.status();
  connection->Send(absl::StrCat(
      "POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ",
      target.token, "\r\nContent-Length: ", body.size(), "\r\n\r\n", body));
  const std::string answer = connection->Receive(kPatience);
  for (const char* expected : {"HTTP/1.1 200", "HTTP/1.1 429"}) {
    if (absl::StartsWith(answer, expected)) return absl::OkStatus();
  }
  return absl::UnknownError(answer.empty() ? "no answer" : answer);
}

inference::ModelInferRequest OipRequest() {
  inference::ModelInferRequest request;
  request.set_model_name("sst2");
  auto& text = *request.add_inputs();
  text.set_name("TEXT");
  text.set_datatype("BYTES");
  text.add_shape(1);
  text.mutable_contents()->add_bytes_contents("a gripping film");
  return request;
}

}  // namespace

void SoakErrors::Add(absl::string_view what, const absl::Status& status) {
  if (status.ok()) return;
  if (++count_ > kPrintedErrors) return;
  std::fprintf(stderr, "%s: %s\n", std::string(what).c_str(),
               status.ToString().c_str());
}

SoakTraffic::SoakTraffic(const SoakTarget& target, SoakErrors* errors)
    : target_(target), errors_(errors) {
  StartGoodCalls();
  StartCallsThatEndEarly();
  StartBadCalls();
}

SoakTraffic::~SoakTraffic() {
  stop_ = true;
  for (std::thread& thread : threads_) thread.join();
}

std::vector<absl::Duration> SoakTraffic::TakeDurations() {
  std::vector<absl::Duration> durations;
  {
    std::lock_guard lock(mutex_);
    durations.swap(durations_);
  }
  std::sort(durations.begin(), durations.end());
  return durations;
}

void SoakTraffic::Start(absl::string_view kind, absl::Duration pause,
                        Caller call) {
  threads_.emplace_back(
      [this, kind = std::string(kind), pause, call = std::move(call)] {
        while (!stop_) {
          errors_->Add(kind, call());
          ++calls_;
          absl::SleepFor(pause);
        }
      });
}

void SoakTraffic::StartGoodCalls() {
  const auto make_client = [this](const std::string& target) {
    return std::shared_ptr<Client>(
        Client::Create(target, {.deadline = kPatience,
                                .tls_root_file = target_.root_file,
                                .tls_server_name = "127.0.0.1",
                                .token_file = target_.token_file})
            .value());
  };
  Start("classify", absl::Milliseconds(10),
        [this, client = make_client(target_.watched),
         request = Classify("sst2", 1, 1)] {
          const absl::Time start = absl::Now();
          const auto response = client->Classify(request);
          std::lock_guard lock(mutex_);
          durations_.push_back(absl::Now() - start);
          return response.status();
        });
  const auto both = make_client(target_.both);
  Start("classify, both servers", absl::Milliseconds(40),
        [both, request = Classify("sst2", 8, 2)] {
          return both->Classify(request).status();
        });
  v1::AnswerRequest question;
  question.set_model("answerer");
  question.add_inputs()->set_question("who came ?");
  question.mutable_inputs(0)->set_context(RandomTexts(1, 3).front());
  Start("answer, both servers", absl::Milliseconds(40),
        [both, question] { return both->Answer(question).status(); });
  v1::EmbedRequest embed;
  embed.set_model("embedder");
  embed.add_inputs()->set_text("a gripping film");
  Start("embed, both servers", absl::Milliseconds(40),
        [both, embed] { return both->Embed(embed).status(); });
  Start("HTTP", absl::Milliseconds(20),
        [this] { return HttpClassify(target_); });
  Start("OIP", absl::Milliseconds(20),
        [this, stub = std::shared_ptr(inference::GRPCInferenceService::NewStub(
                   MakeChannel(target_)))] {
          grpc::ClientContext context;
          Prepare(context, target_.token);
          inference::ModelInferResponse response;
          return Expect(stub->ModelInfer(&context, OipRequest(), &response),
                        {StatusCode::OK});
        });
  // On a connection of its own.
  Start("a new connection", absl::Milliseconds(200), [this, make_client] {
    return make_client(target_.watched)
        ->Classify(Classify("sst2", 1, 4))
        .status();
  });
}

void SoakTraffic::StartCallsThatEndEarly() {
  const auto make_stub = [this] {
    return std::shared_ptr(v1::InferenceService::NewStub(MakeChannel(target_)));
  };
  Start("cancel", absl::Milliseconds(100),
        [this, stub = make_stub(), request = Classify("sst2", 16, 5),
         random = std::mt19937(1)]() mutable {
          grpc::ClientContext context;
          Prepare(context, target_.token);
          v1::ClassifyResponse response;
          std::promise<grpc::Status> ended;
          stub->async()->Classify(
              &context, &request, &response,
              [&](const grpc::Status& status) { ended.set_value(status); });
          absl::SleepFor(absl::Milliseconds(random() % 20));
          context.TryCancel();
          return Expect(ended.get_future().get(),
                        {StatusCode::OK, StatusCode::CANCELLED});
        });
  Start("short deadline", absl::Milliseconds(100),
        [this, stub = make_stub(), request = Classify("sst2", 8, 6),
         random = std::mt19937(2)]() mutable {
          grpc::ClientContext context;
          Prepare(context, target_.token,
                  absl::Milliseconds(1 + random() % 50));
          v1::ClassifyResponse response;
          return Expect(stub->Classify(&context, request, &response),
                        {StatusCode::OK, StatusCode::DEADLINE_EXCEEDED});
        });
  Start("burst", absl::Seconds(2), [this, stub = make_stub()] {
    return Burst(stub.get(), target_.token, /*calls=*/50)
        .Await({StatusCode::OK});
  });
}

void SoakTraffic::StartBadCalls() {
  const auto make_stub = [this] {
    return std::shared_ptr(v1::InferenceService::NewStub(MakeChannel(target_)));
  };
  Start("no token", absl::Milliseconds(100), [stub = make_stub()] {
    grpc::ClientContext context;
    Prepare(context, /*token=*/"");
    v1::ClassifyResponse response;
    return Expect(stub->Classify(&context, Classify("sst2", 1, 1), &response),
                  {StatusCode::UNAUTHENTICATED});
  });
  Start("no such model", absl::Milliseconds(100), [this, stub = make_stub()] {
    grpc::ClientContext context;
    Prepare(context, target_.token);
    v1::ClassifyResponse response;
    return Expect(stub->Classify(&context, Classify("nosuch", 1, 1), &response),
                  {StatusCode::NOT_FOUND});
  });
  Start("no inputs", absl::Milliseconds(100), [this, stub = make_stub()] {
    grpc::ClientContext context;
    Prepare(context, target_.token);
    v1::ClassifyResponse response;
    return Expect(stub->Classify(&context, Classify("sst2", 0, 1), &response),
                  {StatusCode::INVALID_ARGUMENT});
  });
  Start("a model that comes and goes", absl::Milliseconds(20),
        [this, stub = make_stub()] {
          grpc::ClientContext context;
          Prepare(context, target_.token);
          v1::ClassifyResponse response;
          return Expect(
              stub->Classify(&context, Classify("guest", 1, 1), &response),
              {StatusCode::OK, StatusCode::NOT_FOUND});
        });
}

}  // namespace tern

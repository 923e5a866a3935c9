// The services over a real loopback connection, with tiny models.

#include "server/server.h"

#include <atomic>
#include <future>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "grpcpp/generic/generic_stub.h"
#include "gtest/gtest.h"
#include "tests/end_to_end/raw_connection.h"
#include "tests/server/running_server.h"

namespace tern {
namespace {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;
using ::testing::HasSubstr;

constexpr char kLoadReportTrailer[] = "endpoint-load-metrics-bin";

TEST(ServerTest, ClassifiesEveryInputInOrder) {
  RunningServer running;
  v1::ClassifyRequest request = MakeClassify({"one", "two words", "three !"});
  request.set_return_logits(true);
  grpc::ClientContext context;
  v1::ClassifyResponse response;

  const grpc::Status status =
      running.inference->Classify(&context, request, &response);

  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.model(), "classifier");
  EXPECT_EQ(response.version(), "1");
  ASSERT_EQ(response.results_size(), 3);
  for (const v1::ClassifyResult& result : response.results()) {
    ASSERT_EQ(result.labels_size(), 3);
    ASSERT_EQ(result.logits_size(), 3);
    float sum = 0;
    for (const v1::Label& label : result.labels()) {
      EXPECT_EQ(label.label(), absl::StrCat("label-", label.index()));
      EXPECT_LE(label.score(), result.labels(0).score());
      sum += label.score();
    }
    EXPECT_NEAR(sum, 1, 1e-5);
    EXPECT_GE(result.token_count(), 3);
    EXPECT_FALSE(result.truncated());
  }
  const v1::Timings& timings = response.timings();
  const auto nanos = [](const google::protobuf::Duration& duration) {
    return duration.seconds() * 1000000000 + duration.nanos();
  };
  EXPECT_GT(nanos(timings.compute()), 0);
  EXPECT_GE(nanos(timings.total()), nanos(timings.tokenize()) +
                                        nanos(timings.queue()) +
                                        nanos(timings.compute()));
}

TEST(ServerTest, ALoadReportComesInTheTrailersWhereItIsWanted) {
  RunningServer running([](Options& options) { options.load_reports = true; });
  // gRPC's clients keep this trailer to themselves.
  auto connection = RawConnection::Open(running.server->address());
  ASSERT_TRUE(connection.ok()) << connection.status();
  ASSERT_TRUE(connection->Send(Http2Hello(65535)));
  const std::string message = MakeClassify({"a"}).SerializeAsString();
  const std::string data = absl::StrCat(MessagePrefix(message.size()), message);
  std::string received;
  // There is none before the first second has passed.
  for (uint32_t stream = 1;
       stream < 4000 && !absl::StrContains(received, kLoadReportTrailer);
       stream += 2) {
    ASSERT_TRUE(connection->Send(absl::StrCat(
        Http2Frame(Http2Type::kHeaders, kEndHeaders, stream,
                   CallHeaders("/tern.v1.InferenceService/Classify")),
        Http2Frame(Http2Type::kData, kEndStream, stream, data))));
    received += connection->Receive(absl::Milliseconds(50));
    absl::SleepFor(absl::Milliseconds(10));
  }
  EXPECT_THAT(received, HasSubstr(kLoadReportTrailer));
}

TEST(ServerTest, TopKReturnsTheBestLabelsOnly) {
  RunningServer running;
  v1::ClassifyRequest request = MakeClassify({"text"});
  request.set_top_k(2);
  grpc::ClientContext context;
  v1::ClassifyResponse response;

  ASSERT_TRUE(running.inference->Classify(&context, request, &response).ok());

  EXPECT_EQ(response.results(0).labels_size(), 2);
  EXPECT_EQ(response.results(0).logits_size(), 0);
}

TEST(ServerTest, AnswersWithPiecesOfTheContext) {
  RunningServer running;
  v1::AnswerRequest request;
  request.set_n_best(5);
  v1::QuestionInput* input = request.add_inputs();
  input->set_question("who came ?");
  // Long enough for several windows, with code points of several bytes.
  for (int i = 0; i < 60; ++i) {
    absl::StrAppend(input->mutable_context(), "na\u00efve word", i, " ");
  }
  grpc::ClientContext context;
  v1::AnswerResponse response;

  const grpc::Status status =
      running.inference->Answer(&context, request, &response);

  ASSERT_TRUE(status.ok()) << status.error_message();
  const v1::AnswerResult& result = response.results(0);
  EXPECT_GT(result.window_count(), 1);
  EXPECT_GT(result.token_count(), 128);
  ASSERT_EQ(result.answers_size(), 5);
  for (const v1::AnswerSpan& span : result.answers()) {
    ASSERT_LT(span.byte_start(), span.byte_end());
    EXPECT_EQ(span.text(),
              input->context().substr(span.byte_start(),
                                      span.byte_end() - span.byte_start()));
    // Each i with diaeresis before the span is one byte more than code points.
    const std::string before = input->context().substr(0, span.byte_start());
    int wide = 0;
    for (size_t at = before.find("\u00ef"); at != std::string::npos;
         at = before.find("\u00ef", at + 1)) {
      ++wide;
    }
    EXPECT_EQ(span.code_point_start(), span.byte_start() - wide);
    EXPECT_LE(span.score(), result.answers(0).score());
    EXPECT_LE(span.logit(), result.answers(0).logit());
  }
}

TEST(ServerTest, TheAnswersOfAResponseAreNoLongerThanClientsTake) {
  RunningServer running;
  const auto answer = [&](int spaces) {
    v1::AnswerRequest request;
    request.set_n_best(100);
    v1::QuestionInput* input = request.add_inputs();
    input->set_question("who came ?");
    input->set_context(absl::StrCat("one two three", std::string(spaces, ' '),
                                    "four five six"));
    grpc::ClientContext context;
    v1::AnswerResponse response;
    const grpc::Status status =
        running.inference->Answer(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.results_size() == 1 ? response.results(0)
                                        : v1::AnswerResult();
  };
  const v1::AnswerResult all = answer(1);

  // Each span across the spaces has a MiB; gRPC's clients take 4.
  const v1::AnswerResult best = answer(1 << 20);

  ASSERT_GE(best.answers_size(), 1);
  EXPECT_LT(best.answers_size(), all.answers_size());
  for (int i = 0; i < best.answers_size(); ++i) {
    EXPECT_EQ(best.answers(i).logit(), all.answers(i).logit());
  }
}

struct BadCall {
  std::string message;  // that the error must contain
  grpc::StatusCode code = grpc::StatusCode::INVALID_ARGUMENT;
  std::function<void(v1::ClassifyRequest&)> spoil;
};

TEST(ServerTest, ABadClassifyRequestIsRefusedByName) {
  RunningServer running([](Options& options) { options.max_inputs = 4; });
  const grpc::StatusCode invalid = grpc::StatusCode::INVALID_ARGUMENT;
  const std::vector<BadCall> calls = {
      {"inputs: expected 1 to 4, found 0", invalid,
       [](auto& request) { request.clear_inputs(); }},
      {"inputs: expected 1 to 4, found 5", invalid,
       [](auto& request) {
         while (request.inputs_size() < 5) request.add_inputs()->set_text("x");
       }},
      {"inputs[1].text: expected a text, found an empty one", invalid,
       [](auto& request) { request.add_inputs(); }},
      {"inputs[0].text_pair: expected a text", invalid,
       [](auto& request) { request.mutable_inputs(0)->set_text_pair(""); }},
      {"inputs[1].text", invalid,
       [](auto& request) { request.add_inputs()->set_text("a\xff"); }},
      {"inputs[0].text_pair", invalid,
       [](auto& request) {
         request.mutable_inputs(0)->set_text_pair("\xc3(");
       }},
      {"top_k: expected at least 0, found -1", invalid,
       [](auto& request) { request.set_top_k(-1); }},
      {"no model 'x' is served; served: answerer, classifier",
       grpc::StatusCode::NOT_FOUND,
       [](auto& request) { request.set_model("x"); }},
      {"no version '9'", grpc::StatusCode::NOT_FOUND,
       [](auto& request) {
         request.set_model("classifier");
         request.set_version("9");
       }},
      {"not made for classification", invalid,
       [](auto& request) { request.set_model("answerer"); }},
      {"inputs[0].text: expected at most 128 tokens", invalid,
       [](auto& request) {
         request.mutable_inputs(0)->set_text(std::string(300, '!'));
         request.set_truncation(v1::TRUNCATION_REFUSE);
       }},
  };
  for (const BadCall& call : calls) {
    v1::ClassifyRequest request = MakeClassify({"good"});
    call.spoil(request);
    grpc::ClientContext context;
    v1::ClassifyResponse response;

    const grpc::Status status =
        running.inference->Classify(&context, request, &response);

    EXPECT_EQ(status.error_code(), call.code) << status.error_message();
    EXPECT_THAT(status.error_message(), HasSubstr(call.message));
  }
  EXPECT_EQ(running.server->scheduler().counts().accepted, 0);
}

TEST(ServerTest, ABadAnswerRequestIsRefusedByName) {
  RunningServer running;
  const std::vector<
      std::pair<std::string, std::function<void(v1::AnswerRequest&)>>>
      calls = {
          {"n_best: expected 1 to 100, found 101",
           [](auto& request) { request.set_n_best(101); }},
          {"max_answer_tokens: expected 1 to 128, found -1",
           [](auto& request) { request.set_max_answer_tokens(-1); }},
          {"max_window_tokens: expected 6 to 128, found 129",
           [](auto& request) { request.set_max_window_tokens(129); }},
          {"doc_stride: expected 1 to 59, found 60",
           [](auto& request) {
             request.set_max_window_tokens(64);
             request.set_doc_stride(60);
           }},
          {"inputs[0].question: expected a text",
           [](auto& request) { request.mutable_inputs(0)->clear_question(); }},
          {"inputs[0].context: expected a text",
           [](auto& request) { request.mutable_inputs(0)->clear_context(); }},
          {"inputs[0].context: expected at most 1048576 tokens in all windows",
           [](auto& request) {
             request.set_max_window_tokens(128);
             request.set_doc_stride(123);
             request.mutable_inputs(0)->set_question(std::string(120, '?'));
             request.mutable_inputs(0)->set_context(std::string(10000, '!'));
           }},
          {"inputs[0].context",
           [](auto& request) {
             request.mutable_inputs(0)->set_context("\xe2\x82");
           }},
      };
  for (const auto& [message, spoil] : calls) {
    v1::AnswerRequest request;
    request.add_inputs()->set_question("why ?");
    request.mutable_inputs(0)->set_context("because .");
    spoil(request);
    grpc::ClientContext context;
    v1::AnswerResponse response;

    const grpc::Status status =
        running.inference->Answer(&context, request, &response);

    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_THAT(status.error_message(), HasSubstr(message));
  }
}

TEST(ServerTest, ALongTextIsCutAndTheResultSaysSo) {
  RunningServer running;
  grpc::ClientContext context;
  v1::ClassifyResponse response;

  const grpc::Status status = running.inference->Classify(
      &context, MakeClassify({std::string(300, '!')}), &response);

  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_TRUE(response.results(0).truncated());
  EXPECT_EQ(response.results(0).token_count(), 128);
}

TEST(ServerTest, AMessageOverTheLimitIsRefused) {
  RunningServer running(
      [](Options& options) { options.max_message_bytes = 2048; });
  grpc::ClientContext context;
  v1::ClassifyResponse response;

  const grpc::Status status = running.inference->Classify(
      &context, MakeClassify({std::string(4096, 'a')}), &response);

  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
}

TEST(ServerTest, AFullQueueRefusesAtOnceAndSaysWhenToRetry) {
  RunningServer running(
      [](Options& options) { options.max_waiting_requests = 1; });
  auto cores = running.HoldAllCores();
  std::thread waiting([&] {
    grpc::ClientContext context;
    v1::ClassifyResponse response;
    EXPECT_TRUE(running.inference
                    ->Classify(&context, MakeClassify({"first"}), &response)
                    .ok());
  });
  running.AwaitAccepted(1);
  grpc::ClientContext context;
  v1::ClassifyResponse response;

  const grpc::Status status = running.inference->Classify(
      &context, MakeClassify({"second"}), &response);

  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  google::rpc::Status details;
  ASSERT_TRUE(details.ParseFromString(status.error_details()));
  google::rpc::RetryInfo retry;
  for (const auto& detail : details.details()) detail.UnpackTo(&retry);
  EXPECT_GT(retry.retry_delay().nanos() + retry.retry_delay().seconds(), 0);
  const auto& trailers = context.GetServerTrailingMetadata();
  const auto pushback = trailers.find("grpc-retry-pushback-ms");
  ASSERT_NE(pushback, trailers.end());
  EXPECT_GT(
      std::stoi(std::string(pushback->second.data(), pushback->second.size())),
      0);
  cores.clear();
  waiting.join();
}

TEST(ServerTest, ACallWhoseDeadlinePassesIsExpired) {
  RunningServer running;
  auto cores = running.HoldAllCores();
  // With a connection, that is time enough to be accepted.
  ASSERT_TRUE(running.channel->WaitForConnected(
      std::chrono::system_clock::now() + std::chrono::seconds(20)));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() +
                       std::chrono::seconds(2));
  v1::ClassifyResponse response;

  const grpc::Status status =
      running.inference->Classify(&context, MakeClassify({"text"}), &response);

  EXPECT_EQ(status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  const Scheduler::Counts counts = running.AwaitNoneInFlight();
  EXPECT_EQ(counts.accepted, 1);
  EXPECT_EQ(counts.expired, 1);
}

TEST(ServerTest, ACancelledCallIsDropped) {
  RunningServer running;
  auto cores = running.HoldAllCores();
  grpc::ClientContext context;
  v1::ClassifyResponse response;
  auto call = std::async(std::launch::async, [&] {
    return running.inference->Classify(&context, MakeClassify({"text"}),
                                       &response);
  });
  running.AwaitAccepted(1);

  context.TryCancel();

  EXPECT_EQ(call.get().error_code(), grpc::StatusCode::CANCELLED);
  const Scheduler::Counts counts = running.AwaitNoneInFlight();
  EXPECT_EQ(counts.cancelled, 1);
  EXPECT_EQ(counts.waiting_tokens, 0);
}

TEST(ServerTest, AnswersDoNotDependOnBatchNeighbours) {
  constexpr int kClients = 8, kRounds = 25;
  RunningServer running;
  std::vector<std::string> texts;
  std::mt19937 random(5);
  for (int i = 0; i < 40; ++i) {
    std::string text = "t";
    for (int words = random() % 30; words > 0; --words) {
      absl::StrAppend(&text, " ", random() % 1000);
    }
    texts.push_back(text);
  }
  const auto logits_of = [&](const std::vector<std::string>& some) {
    v1::ClassifyRequest request = MakeClassify(some);
    request.set_return_logits(true);
    grpc::ClientContext context;
    v1::ClassifyResponse response;
    const grpc::Status status =
        running.inference->Classify(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    std::vector<std::vector<float>> logits;
    for (const auto& result : response.results()) {
      logits.emplace_back(result.logits().begin(), result.logits().end());
    }
    return logits;
  };
  std::map<std::string, std::vector<float>> alone;
  for (const std::string& text : texts) alone[text] = logits_of({text})[0];

  std::vector<std::thread> clients;
  std::atomic<int> compared{0};
  for (int c = 0; c < kClients; ++c) {
    clients.emplace_back([&, c] {
      std::mt19937 random(c);
      for (int round = 0; round < kRounds; ++round) {
        std::vector<std::string> some(1 + random() % 6);
        for (std::string& text : some) text = texts[random() % texts.size()];
        const auto logits = logits_of(some);
        ASSERT_EQ(logits.size(), some.size());
        for (size_t i = 0; i < some.size(); ++i) {
          EXPECT_EQ(logits[i], alone[some[i]]) << some[i];  // bit for bit
          ++compared;
        }
      }
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_GE(compared, kClients * kRounds);
  EXPECT_NE(alone[texts[0]], alone[texts[1]]);
}

TEST(ServerTest, ALargeRequestIsSplitIntoBatchesWithTheSameAnswers) {
  RunningServer running(
      [](Options& options) { options.max_batch_tokens = 128; });
  std::vector<std::string> texts;
  for (int i = 0; i < 200; ++i) texts.push_back(absl::StrCat("text ", i % 10));
  v1::ClassifyRequest request = MakeClassify(texts);
  request.set_return_logits(true);
  grpc::ClientContext context;
  v1::ClassifyResponse response;

  const grpc::Status status =
      running.inference->Classify(&context, request, &response);

  ASSERT_TRUE(status.ok()) << status.error_message();
  ASSERT_EQ(response.results_size(), 200);
  for (int i = 10; i < 200; ++i) {
    EXPECT_EQ(response.results(i).SerializeAsString(),
              response.results(i % 10).SerializeAsString());
  }
  EXPECT_THAT(running.server->metrics().Text(),
              ::testing::Not(HasSubstr(
                  "tern_batch_tokens_count{model=\"classifier\"} 1\n")));
}

// Inflated first, it would be too long: RESOURCE_EXHAUSTED.
TEST(ServerTest, ACompressedMessageIsRefusedBeforeItIsInflated) {
  RunningServer running;
  const v1::ClassifyRequest request = MakeClassify({std::string(8 << 20, ' ')});
  for (const auto algorithm : {GRPC_COMPRESS_GZIP, GRPC_COMPRESS_DEFLATE}) {
    grpc::ClientContext context;
    context.set_compression_algorithm(algorithm);
    v1::ClassifyResponse response;

    const grpc::Status status =
        running.inference->Classify(&context, request, &response);

    EXPECT_EQ(status.error_code(), grpc::StatusCode::UNIMPLEMENTED)
        << status.error_message();
  }
}

TEST(ServerTest, ListsAndDescribesModels) {
  RunningServer running;
  grpc::ClientContext list_context, get_context, missing_context;
  v1::ListModelsResponse list;
  v1::GetModelRequest request;
  v1::GetModelResponse response;

  ASSERT_TRUE(running.models->ListModels(&list_context, {}, &list).ok());
  request.set_name("classifier");
  ASSERT_TRUE(running.models->GetModel(&get_context, request, &response).ok());

  ASSERT_EQ(list.models_size(), 2);
  EXPECT_EQ(list.models(0).name(), "answerer");
  EXPECT_EQ(list.models(0).task(), v1::TASK_QUESTION_ANSWERING);
  const v1::Model& model = response.model();
  EXPECT_EQ(model.task(), v1::TASK_SINGLE_LABEL_CLASSIFICATION);
  EXPECT_EQ(model.precision(), v1::PRECISION_FP32);
  ASSERT_EQ(model.labels_size(), 3);
  EXPECT_EQ(model.labels(1), "label-1");
  EXPECT_EQ(model.max_tokens(), 128);
  EXPECT_EQ(model.layers(), 2);
  EXPECT_EQ(model.hidden_size(), 64);
  EXPECT_GT(model.parameters(), 0);
  EXPECT_GT(model.file_bytes(), 4 * model.parameters());
  EXPECT_FALSE(model.variant().empty());

  request.set_name("x");
  EXPECT_EQ(running.models->GetModel(&missing_context, request, &response)
                .error_code(),
            grpc::StatusCode::NOT_FOUND);
}

TEST(ServerTest, HealthIsServingForTheServerAndEachService) {
  RunningServer running;
  auto health = grpc::health::v1::Health::NewStub(running.channel);
  for (const char* service :
       {"", "tern.v1.InferenceService", "tern.v1.ModelService"}) {
    grpc::ClientContext context;
    HealthCheckRequest request;
    HealthCheckResponse response;
    request.set_service(service);
    ASSERT_TRUE(health->Check(&context, request, &response).ok()) << service;
    EXPECT_EQ(response.status(), HealthCheckResponse::SERVING);
  }
  grpc::ClientContext unknown_context, list_context;
  HealthCheckRequest request;
  HealthCheckResponse response;
  request.set_service("nobody");
  EXPECT_EQ(health->Check(&unknown_context, request, &response).error_code(),
            grpc::StatusCode::NOT_FOUND);
  grpc::health::v1::HealthListResponse list;
  ASSERT_TRUE(health->List(&list_context, {}, &list).ok());
  // The server, three services, and two models by name and by version.
  EXPECT_EQ(list.statuses().size(), 8u);
}

TEST(ServerTest, ReflectionListsTheServices) {
  RunningServer running;
  // ServerReflectionRequest{list_services: "*"}, of which no C++ header is
  // packaged: field 7, a string.
  const grpc::Slice bytes(std::string("\x3a\x01*"));
  const grpc::ByteBuffer request(&bytes, 1);
  grpc::GenericStub stub(running.channel);
  grpc::ClientContext context;
  grpc::CompletionQueue queue;
  void* tag = nullptr;
  bool ok = false;
  const auto wait = [&] { return queue.Next(&tag, &ok) && ok; };
  auto call = stub.PrepareCall(
      &context,
      "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", &queue);
  call->StartCall(nullptr);
  ASSERT_TRUE(wait());
  call->Write(request, nullptr);
  ASSERT_TRUE(wait());
  grpc::ByteBuffer response;
  call->Read(&response, nullptr);
  ASSERT_TRUE(wait());
  call->WritesDone(nullptr);
  ASSERT_TRUE(wait());
  grpc::Status status;
  call->Finish(&status, nullptr);
  ASSERT_TRUE(wait());

  grpc::Slice slice;
  ASSERT_TRUE(response.DumpToSingleSlice(&slice).ok());
  const std::string text(reinterpret_cast<const char*>(slice.begin()),
                         slice.size());
  EXPECT_THAT(text, HasSubstr("tern.v1.InferenceService"));
  EXPECT_THAT(text, HasSubstr("tern.v1.ModelService"));
  EXPECT_THAT(text, HasSubstr("grpc.health.v1.Health"));
}

TEST(ServerTest, ABusyAddressIsAnError) {
  RunningServer running;
  Options options;
  options.models.push_back(
      {.name = "classifier", .folder = TinyFolder("classifier")});
  options.listen = running.server->address();
  options.workers = options.threads = 1;
  options.max_batch_tokens = 128;
  options.max_message_bytes = 1 << 20;

  const auto second = Server::Start(options);

  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(second.status().message()),
              HasSubstr(running.server->address()));
}

// Nobody must find a port that leads to a server without its models.
TEST(ServerTest, ModelsAreLoadedBeforeAnyPortIsOpened) {
  RunningServer running;
  Options options;
  options.models.push_back({.name = "missing", .folder = "no/such/folder"});
  options.listen = running.server->address();
  options.metrics_listen = running.server->address();

  const auto second = Server::Start(options);

  EXPECT_THAT(std::string(second.status().message()),
              HasSubstr("no/such/folder"))
      << "the models come first, not the busy addresses";
}

}  // namespace
}  // namespace tern

// HTTP and JSON over a real loopback connection.

#include "server/http_gateway.h"

#include <cstring>
#include <fstream>
#include <future>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/end_to_end/raw_connection.h"
#include "tests/server/http_client.h"
#include "tests/server/running_server.h"

namespace tern {
namespace {

using nlohmann::json;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

struct HttpRunningServer : RunningServer {
  explicit HttpRunningServer(const std::function<void(Options&)>& change =
                                 [](Options&) {})
      : RunningServer([&](Options& options) {
          options.http_listen = "127.0.0.1:0";
          change(options);
        }) {}

  HttpReply Get(const std::string& path) {
    return HttpCall(server->http_address(), "GET", path);
  }
  HttpReply Post(const std::string& path, const std::string& body,
                 const std::vector<std::string>& headers = {}) {
    return HttpCall(server->http_address(), "POST", path, body, headers);
  }
};

const char kClassify[] = R"({"inputs": [{"text": "one"}]})";

// The head of a POST whose body, kClassify, comes once it is asked for.
std::string PostHead(const std::string& path, const std::string& headers = "") {
  return absl::StrCat("POST ", path, " HTTP/1.1\r\nHost: localhost\r\n",
                      headers, "Expect: 100-continue\r\nContent-Length: ",
                      std::strlen(kClassify), "\r\n\r\n");
}

TEST(HttpGatewayTest, ATenantsNameIsUtf8InTheMetrics) {
  HttpRunningServer running(
      [](Options& options) { options.tenant_key = "x-tenant"; });
  const std::string long_name = std::string(63, 'x') + "\u00e9";
  for (const std::string& name :
       {std::string("caf\u00e9"), std::string("a\xff"), long_name}) {
    EXPECT_EQ(
        running.Post("/v1/classify", kClassify, {"x-tenant: " + name}).status,
        200);
  }

  const std::string text = running.server->metrics().Text();
  EXPECT_THAT(text, HasSubstr("tenant=\"caf\u00e9\""));
  EXPECT_THAT(text, HasSubstr(R"(tenant="a\\xff")"));
  EXPECT_THAT(text, HasSubstr("\"" + std::string(63, 'x') + "\""));
}

TEST(HttpGatewayTest, ClassifyIsTheProtoAsJson) {
  HttpRunningServer running;
  v1::ClassifyRequest request = MakeClassify({"one", "two words"});
  grpc::ClientContext context;
  v1::ClassifyResponse expected;
  ASSERT_TRUE(running.inference->Classify(&context, request, &expected).ok());

  const HttpReply reply = running.Post(
      "/v1/classify",
      R"({"inputs": [{"text": "one"}, {"text": "two words"}], "topK": 2})");

  ASSERT_EQ(reply.status, 200) << reply.body;
  EXPECT_THAT(reply.header, HasSubstr("Content-Type: application/json"));
  const json response = json::parse(reply.body);
  EXPECT_EQ(response["model"], "classifier");
  ASSERT_EQ(response["results"].size(), 2u);
  for (int i = 0; i < 2; ++i) {
    const json& labels = response["results"][i]["labels"];
    ASSERT_EQ(labels.size(), 2u);
    const v1::Label& best = expected.results(i).labels(0);
    EXPECT_EQ(labels[0]["label"], best.label());
    EXPECT_EQ(labels[0]["index"], best.index());
    EXPECT_EQ(labels[0]["score"].get<float>(), best.score());
  }
  EXPECT_THAT(response["timings"]["compute"].get<std::string>(),
              ::testing::EndsWith("s"));
}

TEST(HttpGatewayTest, AnswerIsTheProtoAsJson) {
  HttpRunningServer running;

  const HttpReply reply =
      running.Post("/v1/answer",
                   R"({"model": "answerer", "n_best": 2, "inputs":
          [{"question": "who ?", "context": "na\u00efve words and more"}]})");

  ASSERT_EQ(reply.status, 200) << reply.body;
  const json result = json::parse(reply.body)["results"][0];
  ASSERT_EQ(result["answers"].size(), 2u);
  for (const json& answer : result["answers"]) {
    const std::string context = "na\u00efve words and more";
    const int begin = answer["byteStart"], end = answer["byteEnd"];
    EXPECT_EQ(answer["text"], context.substr(begin, end - begin));
  }
}

TEST(HttpGatewayTest, EmbedIsTheProtoAsJson) {
  HttpRunningServer running([](Options& options) {
    options.models = {
        {.name = "embedder",
         .folder = TERN_SOURCE_DIR "/tests/model/goldens/embedding-mean"}};
  });

  const HttpReply reply =
      running.Post("/v1/embed", R"({"inputs": [{"text": "a film"}]})");

  ASSERT_EQ(reply.status, 200) << reply.body;
  const json response = json::parse(reply.body);
  double squares = 0;
  for (const double value : response["results"][0]["vector"]) {
    squares += value * value;
  }
  EXPECT_NEAR(squares, 1, 1e-5);
}

TEST(HttpGatewayTest, OipInfersFromJson) {
  HttpRunningServer running;
  const std::string classified =
      running
          .Post("/v1/classify",
                R"({"inputs": [{"text": "one"}], "returnLogits": true})")
          .body;

  const HttpReply reply =
      running.Post("/v2/models/classifier/versions/1/infer",
                   R"({"id": "7", "inputs": [{"name": "TEXT", "shape": [1, 1],
                       "datatype": "BYTES", "data": [["one"]]}],
                       "outputs": [{"name": "LOGITS"}, {"name": "SCORE",
                       "parameters": {"classification": 1}}]})");

  ASSERT_EQ(reply.status, 200) << reply.body;
  const json response = json::parse(reply.body);
  EXPECT_EQ(response["id"], "7");
  EXPECT_EQ(response["model_name"], "classifier");
  EXPECT_EQ(response["model_version"], "1");
  EXPECT_EQ(response["outputs"][0]["datatype"], "FP32");
  EXPECT_EQ(response["outputs"][0]["shape"], json({1, 3}));
  const json logits = json::parse(classified)["results"][0]["logits"];
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(response["outputs"][0]["data"][i].get<float>(),
              logits[i].get<float>());
  }
  EXPECT_EQ(response["outputs"][1]["datatype"], "BYTES");
  EXPECT_THAT(response["outputs"][1]["data"][0].get<std::string>(),
              HasSubstr(":label-"));
}

TEST(HttpGatewayTest, OipTakesAndGivesBytesAfterTheJson) {
  HttpRunningServer running;
  const std::string header =
      R"({"inputs": [{"name": "input_ids", "datatype": "INT32",
          "shape": [1, 3], "parameters": {"binary_data_size": 12}}],
          "parameters": {"binary_data_output": true}})";
  const int32_t ids[] = {2, 5, 3};
  const std::string bytes(reinterpret_cast<const char*>(ids), sizeof(ids));
  const std::string as_json =
      R"({"inputs": [{"name": "input_ids", "datatype": "INT64",
          "shape": [1, 3], "data": [2, 5, 3]}]})";

  const HttpReply binary = running.Post(
      "/v2/models/classifier/infer", header + bytes,
      {absl::StrCat("Inference-Header-Content-Length: ", header.size())});
  const HttpReply plain = running.Post("/v2/models/classifier/infer", as_json);

  ASSERT_EQ(binary.status, 200) << binary.body;
  ASSERT_EQ(plain.status, 200) << plain.body;
  const size_t floats = 3 * sizeof(float);
  ASSERT_GT(binary.body.size(), floats);
  const size_t json_bytes = binary.body.size() - floats;
  EXPECT_THAT(
      binary.header,
      HasSubstr(absl::StrCat("Inference-Header-Content-Length: ", json_bytes)));
  const json tensor =
      json::parse(binary.body.substr(0, json_bytes))["outputs"][0];
  EXPECT_EQ(tensor["parameters"]["binary_data_size"], floats);
  const json expected = json::parse(plain.body)["outputs"][0]["data"];
  for (int i = 0; i < 3; ++i) {
    float value = 0;
    std::memcpy(&value, binary.body.data() + json_bytes + i * sizeof(value),
                sizeof(value));
    EXPECT_EQ(value, expected[i].get<float>());
  }
}

TEST(HttpGatewayTest, DescribesTheServerAndItsModels) {
  HttpRunningServer running;
  EXPECT_EQ(running.Get("/healthz").body, "SERVING\n");
  EXPECT_EQ(running.Get("/v2/health/live").status, 200);
  EXPECT_EQ(running.Get("/v2/health/ready").status, 200);
  EXPECT_EQ(running.Get("/v2/models/classifier/ready").status, 200);
  EXPECT_EQ(running.Get("/v2/models/other/ready").status, 404);
  EXPECT_EQ(json::parse(running.Get("/v2").body)["name"], "tern");
  const json metadata = json::parse(running.Get("/v2/models/classifier").body);
  EXPECT_EQ(metadata["inputs"][0]["shape"], json({-1, 1}));
  const json index = json::parse(running.Post("/v2/repository/index", "").body);
  EXPECT_EQ(index[1]["name"], "classifier");
  EXPECT_EQ(index[1]["state"], "READY");
  running.Post("/v1/classify", kClassify);
  const json statistics =
      json::parse(running.Get("/v2/models/classifier/stats").body);
  EXPECT_EQ(statistics["model_stats"][0]["inference_count"], 1);
  const json models = json::parse(running.Get("/v1/models").body);
  EXPECT_EQ(models["models"][1]["name"], "classifier");
  EXPECT_EQ(models["models"][1]["labels"][0], "label-0");
}

TEST(HttpGatewayTest, DescribesTheConfigurationOfAModel) {
#ifdef __SANITIZE_THREAD__
  // Its headers give a map two more members there, Debian's library does not
  // know them, and reflection on a map reads past them.
  GTEST_SKIP() << "protobuf is not built for ThreadSanitizer";
#endif
  HttpRunningServer running;

  const json config =
      json::parse(running.Get("/v2/models/classifier/config").body);

  EXPECT_EQ(config["max_batch_size"], 1024);
  EXPECT_EQ(config["parameters"]["precision"]["string_value"], "fp32");
}

TEST(HttpGatewayTest, ThePageAllowsNoOutsideResources) {
  HttpRunningServer running;

  const HttpReply reply = running.Get("/");

  EXPECT_EQ(reply.status, 200);
  EXPECT_THAT(reply.header, HasSubstr("Content-Type: text/html"));
  EXPECT_THAT(reply.header,
              HasSubstr("Content-Security-Policy: default-src 'none'"));
  EXPECT_THAT(reply.body, HasSubstr("</html>"));
}

TEST(HttpGatewayTest, ABadRequestIsRefusedByName) {
  HttpRunningServer running;
  struct Case {
    int status;
    std::string message, path, body;
  };
  const std::string infer = "/v2/models/classifier/infer";
  for (const Case& bad : std::vector<Case>{
           {400, "expected a tern.v1.ClassifyRequest as JSON", "/v1/classify",
            "{"},
           {400, "expected a tern.v1.ClassifyRequest as JSON", "/v1/classify",
            R"({"input": []})"},
           {400, "inputs[0].text: expected a text", "/v1/classify",
            R"({"inputs": [{}]})"},
           {404, "no model 'x' is served", "/v1/classify",
            R"({"model": "x", "inputs": [{"text": "a"}]})"},
           {400, "body: expected a JSON object", infer, "[]"},
           {400, "inputs: expected an array", infer, R"({"inputs": 1})"},
           {400, "inputs[0].shape: expected an array of integers", infer,
            R"({"inputs": [{"name": "TEXT", "datatype": "BYTES",
                "shape": ["1"], "data": ["a"]}]})"},
           {400, "inputs[0].data: expected an array of BYTES", infer,
            R"({"inputs": [{"name": "TEXT", "datatype": "BYTES", "shape": [1],
                "data": [1]}]})"},
           {400, "inputs[0].data: expected an array of BYTES", infer,
            R"({"inputs": [{"name": "TEXT", "datatype": "BYTES", "shape": [1],
                "data": [[[[[[[[["a"]]]]]]]]]}]})"},
           {400, "inputs[0].data: expected an array of INT32", infer,
            R"({"inputs": [{"name": "input_ids", "datatype": "INT32",
                "shape": [1, 1], "data": [4294967296]}]})"},
           {400, "binary_data_size: expected at most the 0 bytes", infer,
            R"({"inputs": [{"name": "TEXT", "datatype": "BYTES", "shape": [1],
                "parameters": {"binary_data_size": 5}}]})"},
           {400, "data-type is 'FP32', but model 'classifier' expects 'BYTES'",
            infer,
            R"({"inputs": [{"name": "TEXT", "datatype": "FP32", "shape": [1],
                "data": [1.5]}]})"},
           {404, "Request for unknown model: 'x' is not found",
            "/v2/models/x/infer", R"({"inputs": []})"},
           {404, "nothing at POST /v1/nothing", "/v1/nothing", ""},
           {404, "nothing at POST /v2/models/x", "/v2/models/x", ""},
           {404, "nothing at POST /", "/", ""}}) {
    const HttpReply reply = running.Post(bad.path, bad.body);

    EXPECT_EQ(reply.status, bad.status) << bad.body;
    const json error = json::parse(reply.body);
    EXPECT_THAT(error.contains("error") ? error["error"].get<std::string>()
                                        : error["message"].get<std::string>(),
                HasSubstr(bad.message));
  }
  EXPECT_EQ(
      running.Post(infer, "{}", {"Inference-Header-Content-Length: x"}).status,
      400);
  EXPECT_EQ(running.Post("/v1/classify", kClassify, {"Grpc-Timeout: 5"}).status,
            400);
  EXPECT_EQ(running.server->scheduler().counts().accepted, 0);
}

TEST(HttpGatewayTest, MutatedBodiesNeverBreakIt) {
  HttpRunningServer running;
  const std::string bodies[] = {
      kClassify,
      R"({"inputs": [{"name": "TEXT", "datatype": "BYTES", "shape": [1],
          "data": ["a"], "parameters": {"binary_data_size": 5}}]})"};
  std::mt19937 random(3);
  for (int i = 0; i < 300; ++i) {
    std::string body = bodies[i % 2];
    for (int changes = 1 + random() % 4; changes > 0; --changes) {
      body[random() % body.size()] = static_cast<char>(random());
    }

    const HttpReply reply = running.Post(
        i % 2 == 0 ? "/v1/classify" : "/v2/models/classifier/infer", body);

    EXPECT_THAT(reply.status, AnyOf(200, 400, 404)) << body;
    EXPECT_FALSE(json::parse(reply.body, nullptr, false).is_discarded());
  }
}

TEST(HttpGatewayTest, ABodyOverTheLimitIsRefused) {
  HttpRunningServer running(
      [](Options& options) { options.max_message_bytes = 2048; });

  EXPECT_EQ(running.Post("/v1/classify", std::string(4096, ' ')).status, 413);
  EXPECT_EQ(running.Post("/v1/classify", kClassify).status, 200);
}

TEST(HttpGatewayTest, TokenAndPathAreLookedAtBeforeTheBodyComes) {
  const std::string tokens = ::testing::TempDir() + "tokens";
  const std::string user = "user-0123456789abcdef";
  std::ofstream(tokens) << user << " inference\n";
  HttpRunningServer running(
      [&tokens](Options& options) { options.tokens_file = tokens; });
  const std::string allowed =
      absl::StrCat("Authorization: Bearer ", user, "\r\n");
  struct Case {
    std::string path, headers, answer;
  };
  for (const Case& head : std::vector<Case>{
           {"/v1/classify", "", "HTTP/1.1 401"},
           {"/v1/classify", allowed, "HTTP/1.1 100"},
           {"/v1/models", allowed, "HTTP/1.1 404"},
           {"/v2/models/classifier/infer", allowed, "HTTP/1.1 100"},
           {"/v2/models/classifier/versions/1/infer", allowed, "HTTP/1.1 100"},
           {"/v2/models/classifier", allowed, "HTTP/1.1 404"},
           {"/v2/repository/index", allowed, "HTTP/1.1 100"},
           {"/v2/health/live", "", "HTTP/1.1 404"},
           {"/healthz", "", "HTTP/1.1 404"}}) {
    auto connection = RawConnection::Open(running.server->http_address());
    ASSERT_TRUE(connection.ok());

    connection->Send(PostHead(head.path, head.headers));

    EXPECT_THAT(connection->Receive(absl::Seconds(60)), StartsWith(head.answer))
        << head.path;
  }
}

// A call that waits while all cores are held.
std::future<HttpReply> StartWaitingCall(HttpRunningServer& running) {
  std::future<HttpReply> reply = std::async(std::launch::async, [&running] {
    return running.Post("/v1/classify", kClassify);
  });
  running.AwaitAccepted(1);
  return reply;
}

TEST(HttpGatewayTest, AFullQueueSaysWhenToRetry) {
  HttpRunningServer running(
      [](Options& options) { options.max_waiting_requests = 1; });
  auto cores = running.HoldAllCores();
  std::future<HttpReply> first = StartWaitingCall(running);

  const HttpReply second = running.Post("/v1/classify", kClassify);

  EXPECT_EQ(second.status, 429);
  EXPECT_THAT(second.header, HasSubstr("Retry-After: "));
  EXPECT_EQ(json::parse(second.body)["status"], "RESOURCE_EXHAUSTED");
  cores.clear();
  EXPECT_EQ(first.get().status, 200);
}

TEST(HttpGatewayTest, AFullQueueRefusesACallBeforeItsBodyIsRead) {
  HttpRunningServer running(
      [](Options& options) { options.max_waiting_requests = 1; });
  auto cores = running.HoldAllCores();
  std::future<HttpReply> first = StartWaitingCall(running);

  EXPECT_EQ(running.Post("/v1/classify", "{").status, 429);
  EXPECT_EQ(running.Post("/v2/models/classifier/infer", "{").status, 429);

  cores.clear();
  EXPECT_EQ(first.get().status, 200);
  EXPECT_EQ(running.Post("/v1/classify", "{").status, 400);
  EXPECT_EQ(running.Post("/v2/models/classifier/infer", "{").status, 400);
}

TEST(HttpGatewayTest, ACallEndsAtItsTimeout) {
  HttpRunningServer running;
  const auto cores = running.HoldAllCores();

  EXPECT_EQ(
      running.Post("/v1/classify", kClassify, {"Grpc-Timeout: 1n"}).status,
      504);
}

TEST(HttpGatewayTest, ManyConnectionsWaitAtTheSameTime) {
  constexpr int kCalls = 64;  // many more than the server has threads
  HttpRunningServer running;
  auto cores = running.HoldAllCores();
  std::vector<std::future<HttpReply>> calls;
  for (int i = 0; i < kCalls; ++i) {
    calls.push_back(std::async(std::launch::async, [&] {
      return running.Post("/v1/classify", kClassify);
    }));
  }
  running.AwaitAccepted(kCalls);
  EXPECT_EQ(running.Get("/healthz").status, 200);

  cores.clear();

  for (auto& call : calls) EXPECT_EQ(call.get().status, 200);
}

TEST(HttpGatewayTest, ADrainAnswersWhatWasAccepted) {
  HttpRunningServer running;
  auto cores = running.HoldAllCores();
  auto call = std::async(std::launch::async, [&] {
    return running.Post("/v1/classify", kClassify);
  });
  running.AwaitAccepted(1);

  auto drained =
      std::async(std::launch::async, [&] { running.server->Drain(); });
  absl::SleepFor(absl::Milliseconds(100));
  cores.clear();

  EXPECT_EQ(call.get().status, 200);
  drained.get();
  EXPECT_EQ(running.server->scheduler().counts().answered, 1);
}

TEST(HttpGatewayTest, WhatADrainCannotAnswerIsCancelled) {
  HttpRunningServer running([](Options& options) {
    options.drain_timeout = absl::Milliseconds(100);
  });
  auto cores = running.HoldAllCores();
  auto call = std::async(std::launch::async, [&] {
    return running.Post("/v1/classify", kClassify);
  });
  running.AwaitAccepted(1);
  auto drained =
      std::async(std::launch::async, [&] { running.server->Drain(); });

  EXPECT_EQ(call.get().status, 499);
  cores.clear();
  drained.get();
  EXPECT_EQ(running.server->scheduler().counts().cancelled, 1);
}

// It was accepted, and the library ended the process for what still waited.
TEST(HttpGatewayTest, ABodyThatEndsAfterTheDrainTimeoutIsNotAccepted) {
  HttpRunningServer running(
      [](Options& options) { options.drain_timeout = absl::ZeroDuration(); });
  auto cores = running.HoldAllCores();
  std::future<HttpReply> accepted = StartWaitingCall(running);
  auto late = RawConnection::Open(running.server->http_address());
  ASSERT_TRUE(late.ok());
  late->Send(PostHead("/v1/classify"));
  ASSERT_THAT(late->Receive(absl::Seconds(60)), StartsWith("HTTP/1.1 100"));

  auto drained =
      std::async(std::launch::async, [&] { running.server->Drain(); });
  EXPECT_EQ(accepted.get().status, 499);
  late->Send(kClassify);
  const std::string answer = late->Receive(absl::Seconds(60));
  cores.clear();
  drained.get();

  // Nothing where the server had ended before.
  EXPECT_THAT(answer, AnyOf(IsEmpty(), StartsWith("HTTP/1.1 503")));
  EXPECT_EQ(running.server->scheduler().counts().accepted, 1);
}

TEST(HttpGatewayTest, ATakenPortKeepsTheServerFromStarting) {
  HttpRunningServer running;
  Options options;
  options.models = {{.name = "classifier", .folder = TinyFolder("classifier")}};
  options.listen = "127.0.0.1:0";
  options.http_listen = running.server->http_address();
  options.workers = options.threads = 1;

  const auto second = Server::Start(options);

  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(second.status().message()),
              HasSubstr("--http-listen: expected a free address"));
}

}  // namespace
}  // namespace tern

// TLS and tokens, over real loopback connections.

#include "server/credentials.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "grpcpp/generic/generic_stub.h"
#include "gtest/gtest.h"
#include "inference/grpc_inference_service.grpc.pb.h"
#include "tests/server/certificates.h"
#include "tests/server/http_client.h"
#include "tests/server/running_server.h"

namespace tern {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

const char kUser[] = "user-0123456789abcdef";
const char kAdmin[] = "admin-0123456789abcdef";
const char kScraper[] = "scraper-0123456789abcdef";

void Prepare(grpc::ClientContext& context, const std::string& token) {
  // A refused call ends long before.
  context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(60)));
  if (!token.empty()) {
    context.AddMetadata("authorization", absl::StrCat("Bearer ", token));
  }
}

grpc::StatusCode Classify(const std::shared_ptr<grpc::Channel>& channel,
                          const std::string& token = "") {
  grpc::ClientContext context;
  Prepare(context, token);
  v1::ClassifyRequest request = MakeClassify({"one"});
  request.set_model("classifier");
  v1::ClassifyResponse response;
  return v1::InferenceService::NewStub(channel)
      ->Classify(&context, request, &response)
      .error_code();
}

grpc::StatusCode Health(const std::shared_ptr<grpc::Channel>& channel) {
  grpc::ClientContext context;
  Prepare(context, "");
  grpc::health::v1::HealthCheckResponse response;
  return grpc::health::v1::Health::NewStub(channel)
      ->Check(&context, {}, &response)
      .error_code();
}

// Calls a method that the server need not know.
grpc::StatusCode CallMethod(const std::shared_ptr<grpc::Channel>& channel,
                            const std::string& method,
                            const std::string& token) {
  grpc::ClientContext context;
  Prepare(context, token);
  grpc::CompletionQueue queue;
  const grpc::Slice nothing;
  const auto call = grpc::GenericStub(channel).PrepareUnaryCall(
      &context, method, grpc::ByteBuffer(&nothing, 1), &queue);
  call->StartCall();
  grpc::ByteBuffer response;
  grpc::Status status;
  call->Finish(&response, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);
  return status.error_code();
}

class TlsServerTest : public ::testing::Test {
 protected:
  TlsServerTest() { Show(Issue(authority_)); }

  void Show(const KeyPair& pair) {
    ReplaceFile(files_.certificate, pair.certificate);
    ReplaceFile(files_.key, pair.key);
  }

  void Start(const std::function<void(Options&)>& change = [](Options&) {}) {
    running_ = std::make_unique<RunningServer>([&](Options& options) {
      options.tls = files_;
      change(options);
    });
    ASSERT_NE(running_->server, nullptr);
  }
  void StartWithClientCertificates() {
    ReplaceFile(files_.client_ca, authority_.certificate);
    Start();
  }

  // A connection of its own.
  std::shared_ptr<grpc::Channel> Connect(const KeyPair& trusted,
                                         const KeyPair& client = {}) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return grpc::CreateCustomChannel(
        running_->server->address(),
        grpc::SslCredentials(
            {trusted.certificate, client.key, client.certificate}),
        arguments);
  }

  TlsFiles files_ = {.certificate = ::testing::TempDir() + "server.pem",
                     .key = ::testing::TempDir() + "server.key",
                     .client_ca = ""};
  const KeyPair authority_ = MakeAuthority();
  const KeyPair other_authority_ = MakeAuthority();
  std::unique_ptr<RunningServer> running_;
};

TEST_F(TlsServerTest, ClientsThatTrustItsAuthorityAreAnswered) {
  Start();

  EXPECT_EQ(Classify(Connect(authority_)), grpc::StatusCode::OK);
  EXPECT_EQ(Classify(Connect(other_authority_)), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(TlsServerTest, PlaintextIsNotUnderstood) {
  Start();

  EXPECT_EQ(Classify(running_->channel), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(TlsServerTest, MutualTlsTakesCertificatesOfItsAuthorityOnly) {
  files_.client_ca = ::testing::TempDir() + "ca.pem";
  StartWithClientCertificates();
  const absl::Time now = absl::Now();
  const KeyPair expired = Issue(
      authority_, {.from = now - absl::Hours(2), .to = now - absl::Minutes(1)});

  EXPECT_EQ(Classify(Connect(authority_, Issue(authority_))),
            grpc::StatusCode::OK);
  EXPECT_EQ(Classify(Connect(authority_)), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(Classify(Connect(authority_, Issue(other_authority_))),
            grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(Classify(Connect(authority_, expired)),
            grpc::StatusCode::UNAVAILABLE);
}

TEST_F(TlsServerTest, ANewPairIsShownToNewConnections) {
  Start();
  const auto before = Connect(authority_);
  ASSERT_EQ(Classify(before), grpc::StatusCode::OK);

  Show(Issue(other_authority_));
  running_->server->credentials().Reload();

  EXPECT_EQ(Classify(Connect(other_authority_)), grpc::StatusCode::OK);
  EXPECT_EQ(Classify(Connect(authority_)), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(Classify(before), grpc::StatusCode::OK);
}

TEST_F(TlsServerTest, ANewAuthorityOfClientsCountsForNewConnections) {
  files_.client_ca = ::testing::TempDir() + "ca.pem";
  StartWithClientCertificates();

  ReplaceFile(files_.client_ca, other_authority_.certificate);
  running_->server->credentials().Reload();

  EXPECT_EQ(Classify(Connect(authority_, Issue(other_authority_))),
            grpc::StatusCode::OK);
  EXPECT_EQ(Classify(Connect(authority_, Issue(authority_))),
            grpc::StatusCode::UNAVAILABLE);
}

TEST_F(TlsServerTest, TheOldPairStaysWhenTheNewOneIsBad) {
  Start();
  const std::string metric =
      "\ntern_tls_certificate_expiration_timestamp_seconds ";
  const auto expiration = [&] {
    const std::string text = running_->server->metrics().Text();
    const size_t begin = text.find(metric) + metric.size();
    return text.substr(begin, text.find('\n', begin) - begin);
  };
  const std::string before = expiration();

  for (const KeyPair& bad :
       {KeyPair{"", ""}, KeyPair{"neither", "nor"},
        KeyPair{Issue(authority_).certificate, Issue(authority_).key}}) {
    Show(bad);
    running_->server->credentials().Reload();
    EXPECT_EQ(Classify(Connect(authority_)), grpc::StatusCode::OK);
  }
  EXPECT_EQ(expiration(), before);

  Show(Issue(authority_, {.to = absl::Now() + absl::Hours(5)}));
  running_->server->credentials().Reload();
  EXPECT_EQ(Classify(Connect(authority_)), grpc::StatusCode::OK);
  EXPECT_NE(expiration(), before);
}

TEST_F(TlsServerTest, ABadPairAtTheStartIsAnError) {
  Show({Issue(authority_).certificate, Issue(authority_).key});
  Metrics metrics(nullptr);

  const auto credentials = Credentials::Load({.tls = files_}, &metrics);

  EXPECT_THAT(credentials.status().message(), HasSubstr("expected the key of"));
}

TEST_F(TlsServerTest, TokensWorkOverTls) {
  const std::string tokens = ::testing::TempDir() + "tokens";
  ReplaceFile(tokens, absl::StrCat(kUser, " inference\n"));
  Start([&](Options& options) { options.tokens_file = tokens; });
  const auto channel = Connect(authority_);

  EXPECT_EQ(Classify(channel), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(Classify(channel, kUser), grpc::StatusCode::OK);
  EXPECT_EQ(Health(channel), grpc::StatusCode::OK);
}

class TokensServerTest : public ::testing::Test {
 protected:
  explicit TokensServerTest(const std::string& metrics_listen = "") {
    Write(absl::StrCat(kUser, " inference\n", kAdmin, " admin\n", kScraper,
                       " metrics\n"));
    running_ = std::make_unique<RunningServer>([&](Options& options) {
      options.tokens_file = file_;
      options.http_listen = "127.0.0.1:0";
      options.metrics_listen = metrics_listen;
    });
  }

  void Write(const std::string& text) { ReplaceFile(file_, text); }

  HttpReply Http(const std::string& method, const std::string& path,
                 const std::string& token) {
    std::vector<std::string> headers;
    if (!token.empty()) {
      headers.push_back(absl::StrCat("Authorization: Bearer ", token));
    }
    return HttpCall(running_->server->http_address(), method, path,
                    R"({"model": "classifier", "inputs": [{"text": "one"}]})",
                    headers);
  }

  const std::string file_ = ::testing::TempDir() + "tokens";
  std::unique_ptr<RunningServer> running_;
};

TEST_F(TokensServerTest, CallsNeedATokenOfTheirScope) {
  const auto& channel = running_->channel;

  EXPECT_EQ(Classify(channel), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(Classify(channel, "wrong-0123456789abcdef"),
            grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(Classify(channel, kScraper), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(Classify(channel, kUser), grpc::StatusCode::OK);
  EXPECT_EQ(running_->server->scheduler().counts().accepted, 1);
  EXPECT_THAT(
      running_->server->metrics().Text(),
      AllOf(HasSubstr("rejected_total{reason=\"unauthenticated\"} 2"),
            HasSubstr("rejected_total{reason=\"permission_denied\"} 1")));
}

TEST_F(TokensServerTest, EveryServiceAsksForThem) {
  const auto& channel = running_->channel;
  for (const char* method :
       {"/tern.v1.InferenceService/Embed", "/tern.v1.ModelService/ListModels",
        "/inference.GRPCInferenceService/ModelInfer",
        "/inference.GRPCInferenceService/ModelStreamInfer",
        "/inference.GRPCInferenceService/ModelReady",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"}) {
    EXPECT_EQ(CallMethod(channel, method, ""),
              grpc::StatusCode::UNAUTHENTICATED)
        << method;
    EXPECT_EQ(CallMethod(channel, method, kScraper),
              grpc::StatusCode::PERMISSION_DENIED)
        << method;
  }
  EXPECT_EQ(CallMethod(channel, "/tern.v1.ModelService/ListModels", kUser),
            grpc::StatusCode::OK);
}

TEST_F(TokensServerTest, WhatIsNotInferenceIsForAdmins) {
  const auto& channel = running_->channel;
  for (const char* method :
       {"/tern.v1.AdminService/Anything",
        "/inference.GRPCInferenceService/RepositoryModelLoad"}) {
    EXPECT_EQ(CallMethod(channel, method, kUser),
              grpc::StatusCode::PERMISSION_DENIED)
        << method;
    const grpc::StatusCode admins = CallMethod(channel, method, kAdmin);
    EXPECT_NE(admins, grpc::StatusCode::PERMISSION_DENIED) << method;
    EXPECT_NE(admins, grpc::StatusCode::UNAUTHENTICATED) << method;
  }
}

TEST_F(TokensServerTest, HealthIsOpen) {
  const auto& channel = running_->channel;
  EXPECT_EQ(Health(channel), grpc::StatusCode::OK);
  for (const char* method : {"/inference.GRPCInferenceService/ServerLive",
                             "/inference.GRPCInferenceService/ServerReady"}) {
    EXPECT_EQ(CallMethod(channel, method, ""), grpc::StatusCode::OK) << method;
  }
  for (const char* path : {"/", "/healthz", "/v2/health/live"}) {
    EXPECT_EQ(Http("GET", path, "").status, 200) << path;
  }
}

TEST_F(TokensServerTest, HttpAsksForThemToo) {
  const HttpReply without = Http("POST", "/v1/classify", "");
  EXPECT_EQ(without.status, 401);
  EXPECT_THAT(without.header, HasSubstr("WWW-Authenticate: Bearer"));
  EXPECT_THAT(without.body, HasSubstr("UNAUTHENTICATED"));

  const HttpReply denied = Http("POST", "/v1/classify", kScraper);
  EXPECT_EQ(denied.status, 403);
  EXPECT_THAT(denied.header, HasSubstr("insufficient_scope"));

  EXPECT_EQ(Http("POST", "/v1/classify", kUser).status, 200);
  EXPECT_EQ(Http("GET", "/v2/models/classifier", "").status, 401);
  EXPECT_EQ(Http("GET", "/v2/models/classifier", kUser).status, 200);
  EXPECT_EQ(Http("POST", "/v2/repository/models/classifier/load", kUser).status,
            403);
}

// By itself, since the listener takes two seconds to stop.
struct TokensMetricsTest : TokensServerTest {
  TokensMetricsTest() : TokensServerTest("127.0.0.1:0") {}

  HttpReply Scrape(const std::string& authorization) {
    return HttpCall(running_->server->metrics_address(), "GET", "/metrics", "",
                    {absl::StrCat("Authorization: ", authorization)});
  }
};

TEST_F(TokensMetricsTest, MetricsTakeATokenAsPassword) {
  const auto basic = [](const std::string& password) {
    return absl::StrCat("Basic ",
                        absl::Base64Escape(absl::StrCat("x:", password)));
  };

  const HttpReply page = Scrape(basic(kScraper));
  EXPECT_EQ(page.status, 200);
  EXPECT_THAT(page.body, HasSubstr("tern_build_info"));
  for (const std::string& authorization :
       {std::string("Bearer ") + kScraper, basic(kUser), basic(""),
        std::string("Basic !!!!"), std::string("Basic")}) {
    EXPECT_EQ(Scrape(authorization).status, 401) << authorization;
  }
}

TEST_F(TokensServerTest, NewTokensAreTakenAndBadFilesAreNot) {
  const std::string added = "added-0123456789abcdef";
  Write(absl::StrCat(kUser, " inference\n", added, " inference\n"));
  running_->server->credentials().Reload();
  EXPECT_EQ(Classify(running_->channel, added), grpc::StatusCode::OK);
  EXPECT_EQ(Classify(running_->channel, kUser), grpc::StatusCode::OK);

  Write(absl::StrCat(added, " inference\n"));
  running_->server->credentials().Reload();
  EXPECT_EQ(Classify(running_->channel, kUser),
            grpc::StatusCode::UNAUTHENTICATED);

  for (const char* bad : {"", "short inference", "no scope at all"}) {
    Write(bad);
    running_->server->credentials().Reload();
    EXPECT_EQ(Classify(running_->channel, added), grpc::StatusCode::OK) << bad;
  }
  EXPECT_THAT(running_->server->metrics().Text(),
              HasSubstr("tern_credentials_read_total{taken=\"false\","
                        "what=\"tokens\"}"));
}

}  // namespace
}  // namespace tern

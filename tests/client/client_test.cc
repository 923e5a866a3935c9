#include "client/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/token_file.h"
#include "tests/client/fake_server.h"

namespace tern {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

std::unique_ptr<Client> MustCreate(const std::string& target,
                                   const ClientOptions& options = {}) {
  auto client = Client::Create(target, options);
  EXPECT_TRUE(client.ok()) << client.status();
  return *std::move(client);
}

v1::ClassifyRequest OneText(const std::string& text) {
  v1::ClassifyRequest request;
  request.add_inputs()->set_text(text);
  return request;
}

TEST(ClientTest, ReturnsWhatTheServerAnswers) {
  FakeServer server;
  const auto client = MustCreate(server.target());

  const auto response = client->Classify(OneText("a gripping film"));

  ASSERT_TRUE(response.ok()) << response.status();
  ASSERT_EQ(response->results_size(), 1);
  EXPECT_EQ(response->results(0).labels(0).label(), "short");

  v1::AnswerRequest question;
  question.add_inputs()->set_question("Who?");
  question.mutable_inputs(0)->set_context("Denver won.");
  const auto answer = client->Answer(question);
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->results(0).answers(0).text(), "Denver");

  const auto models = client->ListModels();
  ASSERT_TRUE(models.ok()) << models.status();
  EXPECT_EQ(models->models(0).name(), "fake");
  const auto model = client->GetModel("fake", "");
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ(model->model().labels(1), "long");
}

TEST(ClientTest, KeepsTheCodeAndMessageOfAServersError) {
  FakeServer server;
  const auto client = MustCreate(server.target());

  const auto model = client->GetModel("nosuch", "");

  EXPECT_EQ(model.status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(model.status().message(), "model 'nosuch' is not served");
  EXPECT_FALSE(IsUnreachable(model.status()));
}

TEST(ClientTest, TellsHealthAsItIsNow) {
  FakeServer server;
  const auto client = MustCreate(server.target());

  EXPECT_EQ(client->Health("").value(), ServerHealth::kServing);
  server.SetServing(false);
  EXPECT_EQ(client->Health("").value(), ServerHealth::kNotServing);
  EXPECT_EQ(client->Health("no.such.Service").status().code(),
            absl::StatusCode::kNotFound);
}

TEST(ClientTest, SendsItsUserAgent) {
  FakeServer server;
  const auto client =
      MustCreate(server.target(), {.user_agent = "my-program/2"});

  ASSERT_TRUE(client->Classify(OneText("x")).ok());

  EXPECT_THAT(server.user_agent(), ::testing::StartsWith("my-program/2 "));
}

TEST(ClientTest, RetriesWhatMayPass) {
  FakeServer server;
  server.FailNext({{grpc::StatusCode::UNAVAILABLE, "restarting"},
                   {grpc::StatusCode::RESOURCE_EXHAUSTED, "queue is full"}});
  const auto client = MustCreate(server.target());

  const auto response = client->Classify(OneText("x"));

  EXPECT_TRUE(response.ok()) << response.status();
  EXPECT_THAT(server.call_times(), SizeIs(3));
}

// gRPC's own bound is 256 KiB.
TEST(ClientTest, RetriesLongCalls) {
  FakeServer server;
  server.FailNext({{grpc::StatusCode::UNAVAILABLE, "restarting"}});
  const auto client = MustCreate(server.target());

  const auto response = client->Classify(OneText(std::string(2 << 20, 'x')));

  EXPECT_TRUE(response.ok()) << response.status();
  EXPECT_THAT(server.call_times(), SizeIs(2));
}

TEST(ClientTest, GivesUpAfterFiveAttempts) {
  FakeServer server;
  server.FailNext(std::vector<Failure>(
      9, {grpc::StatusCode::RESOURCE_EXHAUSTED, "queue is full", "1"}));
  const auto client = MustCreate(server.target());

  const auto response = client->Classify(OneText("x"));

  EXPECT_EQ(response.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(response.status().message(), "queue is full");
  EXPECT_THAT(server.call_times(), SizeIs(5));
}

TEST(ClientTest, DoesNotRetryWhatCannotPass) {
  FakeServer server;
  server.FailNext({{grpc::StatusCode::INVALID_ARGUMENT, "no"}});
  const auto client = MustCreate(server.target());

  EXPECT_EQ(client->Classify(OneText("x")).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(server.call_times(), SizeIs(1));
}

TEST(ClientTest, WaitsAsLongAsTheServerAsksFor) {
  FakeServer server;
  server.FailNext({{grpc::StatusCode::RESOURCE_EXHAUSTED, "full", "700"}});
  const auto client = MustCreate(server.target());

  ASSERT_TRUE(client->Classify(OneText("x")).ok());

  // Its own first pause would be at most 0.1 s.
  const std::vector<absl::Time> times = server.call_times();
  ASSERT_THAT(times, SizeIs(2));
  EXPECT_GE(times[1] - times[0], absl::Milliseconds(690));
}

TEST(ClientTest, StopsRetryingWhereTheServerSaysSo) {
  FakeServer server;
  server.FailNext({{grpc::StatusCode::RESOURCE_EXHAUSTED, "full", "-1"}});
  const auto client = MustCreate(server.target());

  EXPECT_EQ(client->Classify(OneText("x")).status().code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(server.call_times(), SizeIs(1));
}

TEST(ClientTest, DoesNotRetryWithRetriesOff) {
  FakeServer server;
  server.FailNext({{grpc::StatusCode::UNAVAILABLE, "restarting"}});
  const auto client = MustCreate(server.target(), {.retry = false});

  const absl::Status status = client->Classify(OneText("x")).status();

  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_FALSE(IsUnreachable(status)) << "the server did answer";
  EXPECT_THAT(server.call_times(), SizeIs(1));
}

TEST(ClientTest, EndsACallAtItsDeadline) {
  FakeServer server;
  server.DelayBy(absl::Seconds(20));
  const auto client =
      MustCreate(server.target(), {.deadline = absl::Milliseconds(200)});

  const absl::Time start = absl::Now();
  const auto response = client->Classify(OneText("x"));

  EXPECT_EQ(response.status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_LT(absl::Now() - start, absl::Seconds(10));
}

TEST(ClientTest, NamesAServerThatIsNotThere) {
  std::string target;
  {
    FakeServer server;
    target = server.target();
  }
  const auto client = MustCreate(target);

  const absl::Status status = client->Classify(OneText("x")).status();

  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(IsUnreachable(status));
  EXPECT_EQ(status.message(), absl::StrCat("server ", target,
                                           " is not reachable (connection "
                                           "refused)"));
}

TEST(ClientTest, SpreadsCallsOverAllAddresses) {
  FakeServer first, second;
  const auto client =
      MustCreate(absl::StrCat("ipv4:", first.target(), ",", second.target()));

  // The first calls go to whichever connection stands first.
  const absl::Time end = absl::Now() + absl::Seconds(20);
  while (absl::Now() < end &&
         (first.call_times().size() < 10 || second.call_times().size() < 10)) {
    ASSERT_TRUE(client->Classify(OneText("x")).ok());
  }

  EXPECT_GE(first.call_times().size(), 10u);
  EXPECT_GE(second.call_times().size(), 10u);
}

TEST(ClientTest, ServesManyThreadsAtOnce) {
  FakeServer server;
  const auto client = MustCreate(server.target());

  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i) {
        const std::string text(t + 1, 'x');
        const auto response = client->Classify(OneText(text));
        ASSERT_TRUE(response.ok()) << response.status();
        EXPECT_EQ(response->results(0).token_count(), t + 1);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(ClientTest, NamesWrongOptions) {
  EXPECT_THAT(Client::Create("", {}).status().message(), HasSubstr("address"));
  EXPECT_THAT(Client::Create("a:1", {.deadline = absl::ZeroDuration()})
                  .status()
                  .message(),
              HasSubstr("longer than 0"));
  EXPECT_THAT(Client::Create("a:1", {.tls_certificate_file = "x.pem"})
                  .status()
                  .message(),
              HasSubstr("needs its key"));
  const absl::Status missing =
      Client::Create("a:1", {.tls_root_file = "no/such.pem"}).status();
  EXPECT_EQ(missing.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(missing.message(), HasSubstr("no/such.pem"));
}

class ClientTokenTest : public ::testing::Test {
 protected:
  void Write(const std::string& contents) { std::ofstream(file_) << contents; }

  const std::string file_ = ::testing::TempDir() + "token";
};

TEST_F(ClientTokenTest, SendsTheFirstWordOfTheFile) {
  FakeServer server;
  Write("secret-1\nanother\n");
  const auto client = MustCreate(server.target(),
                                 {.token_file = file_, .insecure_token = true});

  ASSERT_TRUE(client->Classify(OneText("x")).ok());

  EXPECT_EQ(server.authorization(), "Bearer secret-1");
}

TEST_F(ClientTokenTest, SendsNoTokenWithoutTlsUnlessTold) {
  Write("secret-1");

  EXPECT_THAT(Client::Create("a:1", {.token_file = file_}).status().message(),
              HasSubstr("a token needs TLS"));
}

TEST_F(ClientTokenTest, NamesABadFile) {
  Write("no\x01 ASCII");
  EXPECT_THAT(Client::Create("a:1", {.tls = true, .token_file = file_})
                  .status()
                  .message(),
              HasSubstr(absl::StrCat(file_, ": expected a token")));
  Write(" \n");
  EXPECT_EQ(TokenFile::Open(file_).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(TokenFile::Open("no/such.token").status().code(),
            absl::StatusCode::kNotFound);
}

TEST_F(ClientTokenTest, TakesANewTokenAndKeepsTheOldOneForABadFile) {
  Write("secret-1");
  const auto token = TokenFile::Open(file_, /*max_age=*/absl::ZeroDuration());
  ASSERT_TRUE(token.ok()) << token.status();

  Write("secret-2");
  EXPECT_EQ((*token)->Get(), "secret-2");
  Write("");
  EXPECT_EQ((*token)->Get(), "secret-2");
}

TEST_F(ClientTokenTest, AYoungTokenIsNotReadAgain) {
  Write("secret-1");
  const auto token = TokenFile::Open(file_, absl::InfiniteDuration());
  ASSERT_TRUE(token.ok()) << token.status();

  Write("secret-2");
  EXPECT_EQ((*token)->Get(), "secret-1");
}

// A certificate for 127.0.0.1 that is its own root, and its key.
struct KeyPair {
  std::string certificate;
  std::string key;
};

std::string Contents(BIO* bio) {
  char* data;
  const long size = BIO_get_mem_data(bio, &data);
  std::string contents(data, static_cast<size_t>(size));
  BIO_free(bio);
  return contents;
}

KeyPair MakeKeyPair() {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* certificate = X509_new();
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
  X509_set_pubkey(certificate, key);
  X509_NAME* name = X509_get_subject_name(certificate);
  X509_NAME_add_entry_by_txt(
      name, "CN", MBSTRING_ASC,
      reinterpret_cast<const unsigned char*>("tern test"), -1, -1, 0);
  X509_set_issuer_name(certificate, name);
  X509_EXTENSION* address = X509V3_EXT_conf_nid(
      nullptr, nullptr, NID_subject_alt_name, "IP:127.0.0.1");
  X509_add_ext(certificate, address, -1);
  X509_EXTENSION_free(address);
  X509_sign(certificate, key, EVP_sha256());

  BIO* certificate_pem = BIO_new(BIO_s_mem());
  PEM_write_bio_X509(certificate_pem, certificate);
  BIO* key_pem = BIO_new(BIO_s_mem());
  PEM_write_bio_PrivateKey(key_pem, key, nullptr, nullptr, 0, nullptr, nullptr);
  X509_free(certificate);
  EVP_PKEY_free(key);
  return {Contents(certificate_pem), Contents(key_pem)};
}

class ClientTlsTest : public ::testing::Test {
 protected:
  ClientTlsTest()
      : folder_(std::filesystem::path(::testing::TempDir()) / "tls") {
    std::filesystem::create_directories(folder_);
  }
  ~ClientTlsTest() override { std::filesystem::remove_all(folder_); }

  std::string Write(const std::string& name, const std::string& contents) {
    std::ofstream(folder_ / name) << contents;
    return folder_ / name;
  }

  // A server that asks each client for a certificate of `client_.certificate`.
  std::shared_ptr<grpc::ServerCredentials> MutualTls() {
    grpc::SslServerCredentialsOptions options(
        GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
    options.pem_root_certs = client_.certificate;
    options.pem_key_cert_pairs.push_back({server_.key, server_.certificate});
    return grpc::SslServerCredentials(options);
  }

  const std::filesystem::path folder_;
  const KeyPair server_ = MakeKeyPair();
  const KeyPair client_ = MakeKeyPair();
};

TEST_F(ClientTlsTest, CallsAServerThatAsksForACertificate) {
  FakeServer server(MutualTls());
  const auto client = MustCreate(
      server.target(),
      {.tls_root_file = Write("root.pem", server_.certificate),
       .tls_certificate_file = Write("client.pem", client_.certificate),
       .tls_key_file = Write("client.key", client_.key)});

  const auto response = client->Classify(OneText("x"));

  EXPECT_TRUE(response.ok()) << response.status();
}

TEST_F(ClientTlsTest, TrustsOnlyItsRoots) {
  FakeServer server(MutualTls());
  const auto client = MustCreate(
      server.target(),
      {.tls_root_file = Write("root.pem", MakeKeyPair().certificate),
       .tls_certificate_file = Write("client.pem", client_.certificate),
       .tls_key_file = Write("client.key", client_.key)});

  const absl::Status status = client->Classify(OneText("x")).status();

  EXPECT_TRUE(IsUnreachable(status)) << status;
  EXPECT_THAT(status.message(), HasSubstr("certificate verify failed"));
}

TEST_F(ClientTlsTest, ExpectsTheServerNameItIsTold) {
  FakeServer server(MutualTls());
  const auto client = MustCreate(
      server.target(),
      {.tls_root_file = Write("root.pem", server_.certificate),
       .tls_certificate_file = Write("client.pem", client_.certificate),
       .tls_key_file = Write("client.key", client_.key),
       .tls_server_name = "another.example"});

  EXPECT_TRUE(IsUnreachable(client->Classify(OneText("x")).status()));
}

TEST_F(ClientTlsTest, IsRefusedWithoutItsCertificate) {
  FakeServer server(MutualTls());
  const auto client =
      MustCreate(server.target(),
                 {.tls_root_file = Write("root.pem", server_.certificate)});

  EXPECT_EQ(client->Classify(OneText("x")).status().code(),
            absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace tern

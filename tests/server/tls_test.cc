#include "server/tls.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/certificates.h"

namespace tern {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class TlsTest : public ::testing::Test {
 protected:
  TlsTest() {
    ReplaceFile(files_.certificate, pair_.certificate);
    ReplaceFile(files_.key, pair_.key);
    ReplaceFile(files_.client_ca, authority_.certificate);
  }

  absl::Status Read() { return ReadTls(files_, absl::Now()).status(); }
  std::string Error() { return std::string(Read().message()); }

  const TlsFiles files_ = {.certificate = ::testing::TempDir() + "server.pem",
                           .key = ::testing::TempDir() + "server.key",
                           .client_ca = ::testing::TempDir() + "ca.pem"};
  const KeyPair authority_ = MakeAuthority();
  const KeyPair pair_ = Issue(authority_);
};

TEST_F(TlsTest, AGoodPairIsRead) {
  const auto material = ReadTls(files_, absl::Now());

  ASSERT_TRUE(material.ok()) << material.status();
  EXPECT_EQ(material->certificate, pair_.certificate);
  EXPECT_EQ(material->key, pair_.key);
  EXPECT_EQ(material->client_ca, authority_.certificate);
}

TEST_F(TlsTest, AChainExpiresWithTheFirstOfItsCertificates) {
  const absl::Time soon =
      absl::Floor(absl::Now() - absl::UnixEpoch(), absl::Seconds(1)) +
      absl::UnixEpoch() + absl::Minutes(10);
  const KeyPair server = Issue(authority_, {.to = soon});
  ReplaceFile(files_.certificate, server.certificate + authority_.certificate);
  ReplaceFile(files_.key, server.key);

  const auto material = ReadTls(files_, absl::Now());

  ASSERT_TRUE(material.ok()) << material.status();
  EXPECT_EQ(material->expires_at, soon);
}

TEST_F(TlsTest, AnotherCertificatesKeyIsNamedWithBothFiles) {
  ReplaceFile(files_.key, Issue(authority_).key);

  EXPECT_EQ(Read().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Error(),
            absl::StrCat("--tls-key ", files_.key, ": expected the key of ",
                         files_.certificate, ", found another key"));
}

TEST_F(TlsTest, AnExpiredCertificateIsNamedWithItsTimes) {
  const absl::Time now = absl::Now();
  const KeyPair expired = Issue(
      authority_, {.from = now - absl::Hours(2), .to = now - absl::Minutes(1)});
  ReplaceFile(files_.certificate, expired.certificate);
  ReplaceFile(files_.key, expired.key);

  EXPECT_THAT(Error(), AllOf(HasSubstr(files_.certificate),
                             HasSubstr("expected a certificate that is valid "
                                       "now, found one that is valid from")));
}

TEST_F(TlsTest, ACertificateThatIsNotValidYetIsRefused) {
  const absl::Time now = absl::Now();
  const KeyPair early = Issue(
      authority_, {.from = now + absl::Hours(1), .to = now + absl::Hours(2)});
  ReplaceFile(files_.certificate, early.certificate);
  ReplaceFile(files_.key, early.key);

  EXPECT_THAT(Error(), HasSubstr("valid now"));
}

TEST_F(TlsTest, WhatIsNotPemIsNamed) {
  ReplaceFile(files_.certificate, "not a certificate");
  EXPECT_THAT(Error(),
              HasSubstr(absl::StrCat("--tls-certificate ", files_.certificate,
                                     ": expected certificates in PEM")));

  ReplaceFile(files_.certificate, pair_.certificate);
  ReplaceFile(files_.key, pair_.certificate);
  EXPECT_THAT(Error(), HasSubstr(absl::StrCat("--tls-key ", files_.key,
                                              ": expected a private key")));

  ReplaceFile(files_.key, pair_.key);
  ReplaceFile(files_.client_ca, "");
  EXPECT_THAT(Error(),
              HasSubstr(absl::StrCat("--tls-client-ca ", files_.client_ca)));
}

TEST_F(TlsTest, AHalfWrittenCertificateIsRefused) {
  const std::string& whole = pair_.certificate;
  for (const size_t bytes : {whole.size() / 2, whole.size() - 10}) {
    ReplaceFile(files_.certificate, whole.substr(0, bytes));
    EXPECT_FALSE(Read().ok()) << bytes;
    // After a whole one, too.
    ReplaceFile(files_.certificate, whole + whole.substr(0, bytes));
    EXPECT_FALSE(Read().ok()) << bytes;
  }
}

TEST_F(TlsTest, AMissingFileIsNotFound) {
  const auto material = ReadTls({"no/such.pem", files_.key, ""}, absl::Now());

  EXPECT_EQ(material.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(material.status().message(),
              HasSubstr("--tls-certificate no/such.pem"));
}

}  // namespace
}  // namespace tern

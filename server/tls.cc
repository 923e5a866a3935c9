#include "server/tls.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <algorithm>
#include <ctime>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "server/secret_file.h"

namespace tern {
namespace {

template <auto Free>
struct Freer {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
using Bio = std::unique_ptr<BIO, Freer<BIO_free_all>>;
using Certificate = std::unique_ptr<X509, Freer<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;
using Context = std::unique_ptr<SSL_CTX, Freer<SSL_CTX_free>>;

// A flag and the file it names, for messages.
struct Source {
  absl::string_view flag;
  absl::string_view path;

  absl::Status Bad(absl::string_view expected, absl::string_view found) const {
    return absl::InvalidArgumentError(absl::StrCat(
        flag, " ", path, ": expected ", expected, ", found ", found));
  }
};

// What OpenSSL says of the call that has just failed.
std::string LastError() {
  const char* reason = ERR_reason_error_string(ERR_peek_last_error());
  std::string text = reason == nullptr ? "nothing of the kind" : reason;
  ERR_clear_error();
  return text;
}

Bio Open(const std::string& pem) {
  return Bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
}

// No passphrase, and no question for one on the terminal.
int NoPassphrase(char*, int, int, void*) { return -1; }

absl::StatusOr<std::vector<Certificate>> ParseCertificates(
    const Source& source, const std::string& pem) {
  const Bio bio = Open(pem);
  std::vector<Certificate> certificates;
  while (X509* next =
             PEM_read_bio_X509(bio.get(), nullptr, &NoPassphrase, nullptr)) {
    certificates.emplace_back(next);
  }
  const bool at_end =
      ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  if (!at_end || certificates.empty()) {
    return source.Bad("certificates in PEM", LastError());
  }
  ERR_clear_error();
  return certificates;
}

absl::StatusOr<Key> ParseKey(const Source& source, const std::string& pem) {
  Key key(PEM_read_bio_PrivateKey(Open(pem).get(), nullptr, &NoPassphrase,
                                  nullptr));
  if (key == nullptr) {
    return source.Bad("a private key in PEM without a passphrase", LastError());
  }
  return key;
}

absl::Time ToTime(const ASN1_TIME* time) {
  std::tm parts = {};
  ASN1_TIME_to_tm(time, &parts);
  return absl::FromTimeT(timegm(&parts));
}

absl::Status CheckValid(const Source& source, const X509& certificate,
                        absl::Time now) {
  const absl::Time begin = ToTime(X509_get0_notBefore(&certificate));
  const absl::Time end = ToTime(X509_get0_notAfter(&certificate));
  if (begin <= now && now < end) return absl::OkStatus();
  const absl::TimeZone utc = absl::UTCTimeZone();
  return source.Bad(
      "a certificate that is valid now",
      absl::StrCat("one that is valid from ", absl::FormatTime(begin, utc),
                   " to ", absl::FormatTime(end, utc)));
}

// Loads all into a context as gRPC will, which also holds them against the
// machine's policy, e.g. the least length of keys.
absl::Status CheckTogether(const Source& certificate_source,
                           const std::vector<Certificate>& chain,
                           const Source& key_source, EVP_PKEY* key) {
  const Context context(SSL_CTX_new(TLS_server_method()));
  if (SSL_CTX_use_certificate(context.get(), chain[0].get()) != 1) {
    return certificate_source.Bad("a certificate fit for a server",
                                  LastError());
  }
  for (size_t i = 1; i < chain.size(); ++i) {
    if (SSL_CTX_add1_chain_cert(context.get(), chain[i].get()) != 1) {
      return certificate_source.Bad("a chain fit for a server", LastError());
    }
  }
  if (X509_check_private_key(chain[0].get(), key) != 1) {
    ERR_clear_error();
    return key_source.Bad(absl::StrCat("the key of ", certificate_source.path),
                          "another key");
  }
  if (SSL_CTX_use_PrivateKey(context.get(), key) != 1) {
    return key_source.Bad("a key fit for a server", LastError());
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<TlsMaterial> ReadTls(const TlsFiles& files, absl::Time now) {
  const Source certificate_source = {"--tls-certificate", files.certificate};
  const Source key_source = {"--tls-key", files.key};
  const Source ca_source = {"--tls-client-ca", files.client_ca};
  TlsMaterial material;
  for (const auto& [source, contents] :
       {std::pair(certificate_source, &material.certificate),
        std::pair(key_source, &material.key),
        std::pair(ca_source, &material.client_ca)}) {
    if (source.path.empty()) continue;
    auto read = ReadSecretFile(source.flag, std::string(source.path));
    if (!read.ok()) return read.status();
    *contents = *std::move(read);
  }

  ERR_clear_error();
  const auto chain =
      ParseCertificates(certificate_source, material.certificate);
  if (!chain.ok()) return chain.status();
  const auto key = ParseKey(key_source, material.key);
  if (!key.ok()) return key.status();
  absl::Status status =
      CheckTogether(certificate_source, *chain, key_source, key->get());
  material.expires_at = absl::InfiniteFuture();
  for (const Certificate& certificate : *chain) {
    status.Update(CheckValid(certificate_source, *certificate, now));
    material.expires_at = std::min(
        material.expires_at, ToTime(X509_get0_notAfter(certificate.get())));
  }
  if (!files.client_ca.empty()) {
    status.Update(ParseCertificates(ca_source, material.client_ca).status());
  }
  if (!status.ok()) return status;
  return material;
}

}  // namespace tern

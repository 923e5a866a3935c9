#include "tests/server/certificates.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <filesystem>
#include <fstream>

namespace tern {
namespace {

std::string Contents(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  std::string contents(data, static_cast<size_t>(size));
  BIO_free(bio);
  return contents;
}

KeyPair ToPem(X509* certificate, EVP_PKEY* key) {
  BIO* certificate_pem = BIO_new(BIO_s_mem());
  PEM_write_bio_X509(certificate_pem, certificate);
  BIO* key_pem = BIO_new(BIO_s_mem());
  PEM_write_bio_PrivateKey(key_pem, key, nullptr, nullptr, 0, nullptr, nullptr);
  return {Contents(certificate_pem), Contents(key_pem)};
}

void AddExtension(X509* certificate, int kind, const char* value) {
  X509_EXTENSION* extension =
      X509V3_EXT_conf_nid(nullptr, nullptr, kind, value);
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

// Everything but the extensions and the signature.
X509* Begin(EVP_PKEY* key, const char* common_name, const Validity& validity) {
  X509* certificate = X509_new();
  X509_set_version(certificate, 2);
  uint32_t serial = 0;
  RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof(serial));
  ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), serial);
  ASN1_TIME_set(X509_getm_notBefore(certificate), absl::ToTimeT(validity.from));
  ASN1_TIME_set(X509_getm_notAfter(certificate), absl::ToTimeT(validity.to));
  X509_set_pubkey(certificate, key);
  X509_NAME_add_entry_by_txt(
      X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
      reinterpret_cast<const unsigned char*>(common_name), -1, -1, 0);
  return certificate;
}

}  // namespace

KeyPair MakeAuthority() {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* certificate = Begin(key, "tern test authority", {});
  X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
  AddExtension(certificate, NID_basic_constraints, "critical,CA:TRUE");
  X509_sign(certificate, key, EVP_sha256());
  KeyPair pair = ToPem(certificate, key);
  X509_free(certificate);
  EVP_PKEY_free(key);
  return pair;
}

KeyPair Issue(const KeyPair& authority, const Validity& validity) {
  BIO* bio = BIO_new_mem_buf(authority.certificate.data(), -1);
  X509* issuer = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr);
  BIO_free(bio);
  bio = BIO_new_mem_buf(authority.key.data(), -1);
  EVP_PKEY* issuer_key =
      PEM_read_bio_PrivateKey(bio, nullptr, nullptr, nullptr);
  BIO_free(bio);

  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* certificate = Begin(key, "tern test", validity);
  X509_set_issuer_name(certificate, X509_get_subject_name(issuer));
  AddExtension(certificate, NID_subject_alt_name, "IP:127.0.0.1");
  X509_sign(certificate, issuer_key, EVP_sha256());
  KeyPair pair = ToPem(certificate, key);
  X509_free(certificate);
  EVP_PKEY_free(key);
  X509_free(issuer);
  EVP_PKEY_free(issuer_key);
  return pair;
}

void ReplaceFile(const std::string& path, const std::string& contents) {
  std::ofstream(path + ".new", std::ios::binary) << contents;
  std::filesystem::rename(path + ".new", path);
}

}  // namespace tern

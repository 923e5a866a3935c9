#include "model/sha256.h"

#include <openssl/evp.h>

#include "absl/strings/escaping.h"

namespace tern {

std::string Sha256Hex(absl::Span<const uint8_t> bytes) {
  uint8_t digest[EVP_MAX_MD_SIZE];
  unsigned int digest_bytes = 0;
  EVP_Digest(bytes.data(), bytes.size(), digest, &digest_bytes, EVP_sha256(),
             nullptr);
  return absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(digest), digest_bytes));
}

}  // namespace tern

// Certificates for tests, made as they are needed.

#ifndef TERN_TESTS_SERVER_CERTIFICATES_H_
#define TERN_TESTS_SERVER_CERTIFICATES_H_

#include <string>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace tern {

struct KeyPair {
  std::string certificate;  // PEM
  std::string key;          // PEM
};

struct Validity {
  absl::Time from = absl::Now() - absl::Hours(1);
  absl::Time to = absl::Now() + absl::Hours(1);
};

// An authority that can issue certificates.
KeyPair MakeAuthority();
// A certificate for 127.0.0.1, good for servers and clients.
KeyPair Issue(const KeyPair& authority, const Validity& validity = {});

// Writes a file so that a reader finds the old contents or the new ones.
void ReplaceFile(const std::string& path, const std::string& contents);

}  // namespace tern

#endif  // TERN_TESTS_SERVER_CERTIFICATES_H_

// The certificate and key that the server shows, and the authorities that
// clients' certificates must come from, read from PEM files.
//
// What is wrong with the files is found here, before any connection is.

#ifndef TERN_SERVER_TLS_H_
#define TERN_SERVER_TLS_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace tern {

// Empty: no TLS.
struct TlsFiles {
  std::string certificate;  // a chain, the server's own first
  std::string key;          // without a passphrase
  std::string client_ca;    // empty: clients need no certificate

  bool empty() const { return certificate.empty(); }
};

// What these files hold.
struct TlsMaterial {
  std::string certificate;
  std::string key;
  std::string client_ca;
  absl::Time expires_at;  // of the certificate in the chain that ends first

  bool operator==(const TlsMaterial&) const = default;
};

// Reads the files and checks that a server can be run with them.
// Errors: NOT_FOUND for a file that cannot be read, INVALID_ARGUMENT for one
// that is not PEM, a key that is not the certificate's, a certificate that is
// not valid at `now`; each names the flag, the file, what was expected and what
// was found.
absl::StatusOr<TlsMaterial> ReadTls(const TlsFiles& files, absl::Time now);

}  // namespace tern

#endif  // TERN_SERVER_TLS_H_

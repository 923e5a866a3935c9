// What a port of gRPC asks about a connection and about a call.
//
// Not gRPC's own TlsServerCredentials with its FileWatcherCertificateProvider:
// in 1.51 that drops the pair in use when the new one is bad, e.g. half
// written, and takes no connection until a good one is there. Nor its
// AuthMetadataProcessor, which works with TLS only. Both rest on C interfaces
// that can do better, and so does this.

#ifndef TERN_SERVER_PORT_CREDENTIALS_H_
#define TERN_SERVER_PORT_CREDENTIALS_H_

#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "grpcpp/security/server_credentials.h"
#include "server/tls.h"

namespace tern {

// Called on gRPC's threads, as long as the server lives.
struct PortSecurity {
  // Says what to show to a new connection; clients must have a certificate if
  // there are authorities in it. Null: no TLS.
  std::function<std::shared_ptr<const TlsMaterial>()> tls = nullptr;
  // Says whether a call of `method` ("/package.Service/Method") may begin that
  // has this `authorization` in its metadata (empty: none); what it refuses
  // reaches no handler. Null: every call may begin.
  std::function<absl::Status(absl::string_view method,
                             absl::string_view authorization)>
      authorize = nullptr;
};

// For one address.
std::shared_ptr<grpc::ServerCredentials> MakePortCredentials(
    PortSecurity security);

}  // namespace tern

#endif  // TERN_SERVER_PORT_CREDENTIALS_H_

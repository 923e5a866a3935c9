#include "server/port_credentials.h"

#include <mutex>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "grpc/grpc.h"
#include "grpc/grpc_security.h"
#include "grpc/slice.h"

namespace tern {
namespace {

constexpr absl::Duration kBeforeReplacing = absl::Milliseconds(100);

absl::string_view View(const grpc_slice& slice) {
  return {reinterpret_cast<const char*>(GRPC_SLICE_START_PTR(slice)),
          GRPC_SLICE_LENGTH(slice)};
}

// What gRPC calls; it lives as long as gRPC's own credentials.
class Port {
 public:
  explicit Port(PortSecurity security) : security_(std::move(security)) {}

  static grpc_ssl_certificate_config_reload_status Fetch(
      void* port, grpc_ssl_server_certificate_config** config) {
    return static_cast<Port*>(port)->Fetch(config);
  }

  // Decides at once, on gRPC's thread.
  static void Authorize(void* port, grpc_auth_context*,
                        const grpc_metadata* metadata, size_t size,
                        grpc_process_auth_metadata_done_cb done,
                        void* user_data) {
    absl::string_view method;
    const grpc_metadata* authorization = nullptr;
    for (size_t i = 0; i < size; ++i) {
      const absl::string_view key = View(metadata[i].key);
      if (key == ":path") method = View(metadata[i].value);
      if (key == "authorization") authorization = &metadata[i];
    }
    const absl::Status status = static_cast<Port*>(port)->security_.authorize(
        method, authorization == nullptr ? "" : View(authorization->value));
    // The handler has no use for the token.
    done(user_data, authorization, authorization == nullptr ? 0 : 1, nullptr, 0,
         static_cast<grpc_status_code>(status.code()),
         status.ok() ? nullptr : std::string(status.message()).c_str());
  }

  static void Destroy(void* port) { delete static_cast<Port*>(port); }

  const PortSecurity& security() const { return security_; }

 private:
  // gRPC keeps what it has where the new is not good for it.
  grpc_ssl_certificate_config_reload_status Fetch(
      grpc_ssl_server_certificate_config** config) {
    std::shared_ptr<const TlsMaterial> material = security_.tls();
    std::lock_guard lock(mutex_);
    if (material == shown_) return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;
    // A connection that was here just before is about to use what gRPC made of
    // the old material, holds no lock and no reference, and needs microseconds;
    // later ones wait for us.
    if (shown_ != nullptr) absl::SleepFor(kBeforeReplacing);
    const grpc_ssl_pem_key_cert_pair pair = {material->key.c_str(),
                                             material->certificate.c_str()};
    // gRPC wants an authority even if it asks no client for a certificate.
    const std::string& authority = material->client_ca.empty()
                                       ? material->certificate
                                       : material->client_ca;
    *config =
        grpc_ssl_server_certificate_config_create(authority.c_str(), &pair, 1);
    shown_ = std::move(material);
    return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW;
  }

  const PortSecurity security_;
  std::mutex mutex_;
  std::shared_ptr<const TlsMaterial> shown_ ABSL_GUARDED_BY(mutex_);
};

grpc_server_credentials* MakeCredentials(Port* port) {
  if (!port->security().tls) return grpc_insecure_server_credentials_create();
  const bool asks_clients = !port->security().tls()->client_ca.empty();
  return grpc_ssl_server_credentials_create_with_options(
      grpc_ssl_server_credentials_create_options_using_config_fetcher(
          asks_clients
              ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
              : GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE,
          &Port::Fetch, port));
}

// gRPC's C credentials as its C++ server takes them.
class PortCredentials final : public grpc::ServerCredentials {
 public:
  explicit PortCredentials(PortSecurity security) {
    auto* port = new Port(std::move(security));
    credentials_ = MakeCredentials(port);
    grpc_server_credentials_set_auth_metadata_processor(
        credentials_, {port->security().authorize ? &Port::Authorize : nullptr,
                       &Port::Destroy, port});
  }
  ~PortCredentials() override { grpc_server_credentials_release(credentials_); }

  // There is a processor already.
  void SetAuthMetadataProcessor(
      const std::shared_ptr<grpc::AuthMetadataProcessor>&) override {}

 private:
  int AddPortToServer(const std::string& address,
                      grpc_server* server) override {
    return grpc_server_add_http2_port(server, address.c_str(), credentials_);
  }

  grpc_server_credentials* credentials_;
};

}  // namespace

std::shared_ptr<grpc::ServerCredentials> MakePortCredentials(
    PortSecurity security) {
  return std::make_shared<PortCredentials>(std::move(security));
}

}  // namespace tern

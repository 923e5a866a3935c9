// Calls a tern-server.
//
//   auto client = tern::Client::Create("127.0.0.1:8500", {});
//   tern::v1::ClassifyRequest request;
//   request.add_inputs()->set_text("a gripping film");
//   absl::StatusOr<tern::v1::ClassifyResponse> response =
//       (*client)->Classify(request);
//
// One Client holds one connection to each address of its target, spreads calls
// over them in turn, and retries what client/service_config.json says: calls
// that ended UNAVAILABLE, RESOURCE_EXHAUSTED or CANCELLED, after a delay that
// grows exponentially or that the server named (`grpc-retry-pushback-ms`).

#ifndef TERN_CLIENT_CLIENT_H_
#define TERN_CLIENT_CLIENT_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "tern/v1/inference_service.pb.h"
#include "tern/v1/model_service.pb.h"

namespace tern {

struct ClientOptions {
  // For a whole call, its retries included.
  absl::Duration deadline = absl::Seconds(30);
  // Off: every call is tried once.
  bool retry = true;
  // Put before gRPC's own in the user-agent header.
  std::string user_agent = "tern-client";

  // TLS where any of these is set. PEM files.
  bool tls = false;                // with the system's root certificates
  std::string tls_root_file = {};  // certificates to trust instead of those
  std::string tls_certificate_file = {};  // the client's chain, for mutual TLS
  std::string tls_key_file = {};          // and its key
  // The name in the server's certificate; empty: the one in the target.
  std::string tls_server_name = {};

  // A file whose first word is sent with every call as a bearer token. It is
  // read again once it has been in use for a minute, so it may be replaced.
  std::string token_file = {};
  // Lets the token be sent without TLS, too, where others may read it.
  bool insecure_token = false;
};

// What a server says of itself.
enum class ServerHealth { kServing, kNotServing, kUnknown };

// A version of a model in a server's repository.
struct RepositoryEntry {
  std::string name;
  std::string version;
  std::string state;   // "READY", or "UNAVAILABLE" where it was refused
  std::string reason;  // why it was
};

// Every call returns the server's status where it fails: the codes and their
// meanings are those of proto/tern/v1. Two of the client's own are told apart
// by IsUnreachable().
//
// Thread-safe; calls run at the same time on one connection.
class Client {
 public:
  // `target` is a gRPC name: `host:port`, `dns:///host:port`,
  // `ipv4:10.0.0.1:8500,10.0.0.2:8500`, `unix:path`. Connects at the first
  // call, not here.
  // Errors: INVALID_ARGUMENT for an empty target, a non-positive deadline, a
  // certificate without its key or the other way round, a token without TLS;
  // NOT_FOUND for a file that cannot be read.
  static absl::StatusOr<std::unique_ptr<Client>> Create(
      const std::string& target, const ClientOptions& options);
  ~Client();

  absl::StatusOr<v1::ClassifyResponse> Classify(
      const v1::ClassifyRequest& request) const;
  absl::StatusOr<v1::AnswerResponse> Answer(
      const v1::AnswerRequest& request) const;
  absl::StatusOr<v1::EmbedResponse> Embed(
      const v1::EmbedRequest& request) const;
  absl::StatusOr<v1::ListModelsResponse> ListModels() const;
  // `version` empty: the newest.
  absl::StatusOr<v1::GetModelResponse> GetModel(
      absl::string_view name, absl::string_view version) const;

  // Asks once, without a retry, so the answer is about now. `service` empty:
  // the server as a whole. Errors: NOT_FOUND for an unknown service.
  absl::StatusOr<ServerHealth> Health(absl::string_view service) const;

  // For a client of a server's admin port (--admin-listen); once, without a
  // retry. A call lasts as long as the load. Errors: NOT_FOUND for a name that
  // the repository has not; FAILED_PRECONDITION with what is wrong with it.
  absl::StatusOr<std::vector<RepositoryEntry>> RepositoryIndex() const;
  absl::Status LoadModel(absl::string_view name) const;
  absl::Status UnloadModel(absl::string_view name) const;

 private:
  struct Impl;
  explicit Client(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// True for the status of a call that met no server: the message then names the
// target and the reason. False for what a server answered, UNAVAILABLE
// included.
bool IsUnreachable(const absl::Status& status);

}  // namespace tern

#endif  // TERN_CLIENT_CLIENT_H_

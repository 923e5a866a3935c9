#include "client/client.h"

#include <grpcpp/grpcpp.h>

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "client/read_file.h"
#include "client/service_config.h"
#include "client/token_file.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "inference/grpc_inference_service.grpc.pb.h"
#include "tern/v1/inference_service.grpc.pb.h"
#include "tern/v1/model_service.grpc.pb.h"

namespace tern {
namespace {

constexpr char kUnreachablePayload[] = "tern.dev/unreachable";

// An empty path stands for no file.
absl::StatusOr<std::string> ReadPem(const std::string& path) {
  return path.empty() ? std::string() : ReadFile(path);
}

bool WantsTls(const ClientOptions& options) {
  return options.tls || !options.tls_root_file.empty() ||
         !options.tls_certificate_file.empty() ||
         !options.tls_key_file.empty() || !options.tls_server_name.empty();
}

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> MakeCredentials(
    const ClientOptions& options) {
  if (!WantsTls(options)) return grpc::InsecureChannelCredentials();
  if (options.tls_certificate_file.empty() != options.tls_key_file.empty()) {
    return absl::InvalidArgumentError(
        "a client certificate needs its key, and a key its certificate");
  }
  absl::StatusOr<std::string> root = ReadPem(options.tls_root_file);
  if (!root.ok()) return root.status();
  absl::StatusOr<std::string> chain = ReadPem(options.tls_certificate_file);
  if (!chain.ok()) return chain.status();
  absl::StatusOr<std::string> key = ReadPem(options.tls_key_file);
  if (!key.ok()) return key.status();
  grpc::SslCredentialsOptions ssl;
  ssl.pem_root_certs = *std::move(root);
  ssl.pem_cert_chain = *std::move(chain);
  ssl.pem_private_key = *std::move(key);
  return grpc::SslCredentials(ssl);
}

std::shared_ptr<grpc::Channel> MakeChannel(
    const std::string& target, const ClientOptions& options,
    const std::shared_ptr<grpc::ChannelCredentials>& credentials) {
  grpc::ChannelArguments arguments;
  arguments.SetUserAgentPrefix(options.user_agent);
  arguments.SetServiceConfigJSON(kServiceConfig);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, options.retry ? 1 : 0);
  // A call of more bytes than this, by default 256 KiB, is not tried again.
  arguments.SetInt(GRPC_ARG_PER_RPC_RETRY_BUFFER_SIZE, 16 << 20);
  // A restarting server is back in a moment; gRPC's own first pause is 1 s.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  // Despite its name, the time in which a connection must stand, TLS included.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 5000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 5000);
  arguments.SetMaxReceiveMessageSize(-1);
  if (!options.tls_server_name.empty()) {
    arguments.SetSslTargetNameOverride(options.tls_server_name);
  }
  return grpc::CreateCustomChannel(target, credentials, arguments);
}

// The last and most precise part of what gRPC says of a failed connection, e.g.
// "connection refused" of "failed to connect to all addresses; last error:
// UNKNOWN: ipv4:127.0.0.1:1: Failed to connect to remote host: Connection
// refused".
std::string ConnectionFailure(absl::string_view message) {
  const size_t last_colon = message.rfind(": ");
  if (last_colon != absl::string_view::npos) {
    message.remove_prefix(last_colon + 2);
  }
  return absl::AsciiStrToLower(message);
}

}  // namespace

struct Client::Impl {
  Impl(std::string target, const ClientOptions& options,
       std::unique_ptr<TokenFile> token, std::shared_ptr<grpc::Channel> channel)
      : target(std::move(target)),
        deadline(options.deadline),
        token(std::move(token)),
        channel(std::move(channel)),
        inference(v1::InferenceService::NewStub(this->channel)),
        models(v1::ModelService::NewStub(this->channel)),
        health(grpc::health::v1::Health::NewStub(this->channel)),
        repository(inference::GRPCInferenceService::NewStub(this->channel)) {}

  // Runs one call: `method` is a synchronous method of `stub`.
  template <typename Response, typename Stub, typename Request>
  absl::StatusOr<Response> Call(
      Stub& stub,
      grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                   Response*),
      const Request& request) const {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + deadline));
    if (token != nullptr) {
      context.AddMetadata("authorization",
                          absl::StrCat("Bearer ", token->Get()));
    }
    Response response;
    const grpc::Status status = (stub.*method)(&context, request, &response);
    if (!status.ok()) return FromGrpc(status, context);
    return response;
  }

  absl::Status FromGrpc(const grpc::Status& status,
                        const grpc::ClientContext& context) const {
    const auto code = static_cast<absl::StatusCode>(status.error_code());
    // Until a call has a connection, its peer is still the target's name.
    if (code == absl::StatusCode::kUnavailable && context.peer() == target &&
        channel->GetState(/*try_to_connect=*/false) != GRPC_CHANNEL_READY) {
      absl::Status unreachable = absl::UnavailableError(
          absl::StrCat("server ", target, " is not reachable (",
                       ConnectionFailure(status.error_message()), ")"));
      unreachable.SetPayload(kUnreachablePayload, absl::Cord());
      return unreachable;
    }
    return absl::Status(code, status.error_message());
  }

  const std::string target;
  const absl::Duration deadline;
  const std::unique_ptr<TokenFile> token;  // null: none is sent
  const std::shared_ptr<grpc::Channel> channel;
  const std::unique_ptr<v1::InferenceService::Stub> inference;
  const std::unique_ptr<v1::ModelService::Stub> models;
  const std::unique_ptr<grpc::health::v1::Health::Stub> health;
  const std::unique_ptr<inference::GRPCInferenceService::Stub> repository;
};

absl::StatusOr<std::unique_ptr<Client>> Client::Create(
    const std::string& target, const ClientOptions& options) {
  if (target.empty()) {
    return absl::InvalidArgumentError("the server's address is empty");
  }
  if (options.deadline <= absl::ZeroDuration()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the deadline must be longer than 0, is ",
                     absl::FormatDuration(options.deadline)));
  }
  auto credentials = MakeCredentials(options);
  if (!credentials.ok()) return credentials.status();
  std::unique_ptr<TokenFile> token;
  if (!options.token_file.empty()) {
    if (!WantsTls(options) && !options.insecure_token) {
      return absl::InvalidArgumentError(
          "a token needs TLS, so that nobody reads it on its way, or "
          "insecure_token (--insecure-token)");
    }
    auto opened = TokenFile::Open(options.token_file);
    if (!opened.ok()) return opened.status();
    token = *std::move(opened);
  }
  return std::unique_ptr<Client>(new Client(
      std::make_unique<Impl>(target, options, std::move(token),
                             MakeChannel(target, options, *credentials))));
}

Client::Client(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Client::~Client() = default;

absl::StatusOr<v1::ClassifyResponse> Client::Classify(
    const v1::ClassifyRequest& request) const {
  return impl_->Call(*impl_->inference, &v1::InferenceService::Stub::Classify,
                     request);
}

absl::StatusOr<v1::AnswerResponse> Client::Answer(
    const v1::AnswerRequest& request) const {
  return impl_->Call(*impl_->inference, &v1::InferenceService::Stub::Answer,
                     request);
}

absl::StatusOr<v1::EmbedResponse> Client::Embed(
    const v1::EmbedRequest& request) const {
  return impl_->Call(*impl_->inference, &v1::InferenceService::Stub::Embed,
                     request);
}

absl::StatusOr<v1::ListModelsResponse> Client::ListModels() const {
  return impl_->Call(*impl_->models, &v1::ModelService::Stub::ListModels,
                     v1::ListModelsRequest());
}

absl::StatusOr<v1::GetModelResponse> Client::GetModel(
    absl::string_view name, absl::string_view version) const {
  v1::GetModelRequest request;
  request.set_name(std::string(name));
  request.set_version(std::string(version));
  return impl_->Call(*impl_->models, &v1::ModelService::Stub::GetModel,
                     request);
}

absl::StatusOr<ServerHealth> Client::Health(absl::string_view service) const {
  grpc::health::v1::HealthCheckRequest request;
  request.set_service(std::string(service));
  const auto response = impl_->Call(
      *impl_->health, &grpc::health::v1::Health::Stub::Check, request);
  if (!response.ok()) return response.status();
  switch (response->status()) {
    case grpc::health::v1::HealthCheckResponse::SERVING:
      return ServerHealth::kServing;
    case grpc::health::v1::HealthCheckResponse::NOT_SERVING:
      return ServerHealth::kNotServing;
    default:
      return ServerHealth::kUnknown;
  }
}

absl::StatusOr<std::vector<RepositoryEntry>> Client::RepositoryIndex() const {
  const auto response =
      impl_->Call(*impl_->repository,
                  &inference::GRPCInferenceService::Stub::RepositoryIndex,
                  inference::RepositoryIndexRequest());
  if (!response.ok()) return response.status();
  std::vector<RepositoryEntry> entries;
  for (const auto& model : response->models()) {
    entries.push_back(
        {model.name(), model.version(), model.state(), model.reason()});
  }
  return entries;
}

absl::Status Client::LoadModel(absl::string_view name) const {
  inference::RepositoryModelLoadRequest request;
  request.set_model_name(std::string(name));
  return impl_
      ->Call(*impl_->repository,
             &inference::GRPCInferenceService::Stub::RepositoryModelLoad,
             request)
      .status();
}

absl::Status Client::UnloadModel(absl::string_view name) const {
  inference::RepositoryModelUnloadRequest request;
  request.set_model_name(std::string(name));
  return impl_
      ->Call(*impl_->repository,
             &inference::GRPCInferenceService::Stub::RepositoryModelUnload,
             request)
      .status();
}

bool IsUnreachable(const absl::Status& status) {
  return status.GetPayload(kUnreachablePayload).has_value();
}

}  // namespace tern

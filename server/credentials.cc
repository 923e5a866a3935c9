#include "server/credentials.h"

#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/time/clock.h"
#include "server/log.h"
#include "server/port_credentials.h"
#include "server/secret_file.h"
#include "server/tokens.h"

namespace tern {
namespace {

// What a caller needs; none: nothing.
struct Rule {
  absl::string_view prefix;
  std::optional<Scope> scope;
};

// The first that fits a method counts; what fits none is for admins, so that
// a new service is not open by oversight.
constexpr Rule kMethods[] = {
    {"/grpc.health.v1.Health/", std::nullopt},
    {"/inference.GRPCInferenceService/ServerLive", std::nullopt},
    {"/inference.GRPCInferenceService/ServerReady", std::nullopt},
    {"/inference.GRPCInferenceService/RepositoryModel", Scope::kAdmin},
    {"/inference.GRPCInferenceService/", Scope::kInference},
    {"/tern.v1.InferenceService/", Scope::kInference},
    {"/tern.v1.ModelService/ListModels", Scope::kInference},
    {"/tern.v1.ModelService/GetModel", Scope::kInference},
    {"/grpc.reflection.", Scope::kInference},
    {"/", Scope::kAdmin},
};

// The same for HTTP, by path. The page holds no secret; what it asks for does.
constexpr Rule kPaths[] = {
    {"/healthz", std::nullopt},
    {"/v2/health/", std::nullopt},
    {"/v2/repository/models/", Scope::kAdmin},
    {"/v1/", Scope::kInference},
    {"/v2", Scope::kInference},
};

template <size_t kRules>
std::optional<Scope> Needed(const Rule (&rules)[kRules],
                            absl::string_view name) {
  for (const Rule& rule : rules) {
    if (absl::StartsWith(name, rule.prefix)) return rule.scope;
  }
  return Scope::kAdmin;
}

}  // namespace

class Credentials::Current {
 public:
  explicit Current(Metrics* metrics) : metrics_(*metrics) {}

  std::shared_ptr<const TlsMaterial> tls() const {
    std::lock_guard lock(mutex_);
    return tls_;
  }
  void set_tls(TlsMaterial tls) {
    std::lock_guard lock(mutex_);
    tls_ = std::make_shared<const TlsMaterial>(std::move(tls));
  }

  std::shared_ptr<const Tokens> tokens() const {
    std::lock_guard lock(mutex_);
    return tokens_;
  }
  void set_tokens(Tokens tokens) {
    std::lock_guard lock(mutex_);
    tokens_ = std::make_shared<const Tokens>(std::move(tokens));
  }

  absl::Status Check(std::optional<Scope> needed,
                     absl::string_view authorization) const {
    const std::shared_ptr<const Tokens> tokens = this->tokens();
    if (tokens == nullptr || !needed.has_value()) return absl::OkStatus();
    absl::Status status = tokens->CheckAuthorization(authorization, *needed);
    if (!status.ok()) {
      metrics_.CountRejected(absl::IsUnauthenticated(status)
                                 ? "unauthenticated"
                                 : "permission_denied");
    }
    return status;
  }

 private:
  Metrics& metrics_;
  mutable std::mutex mutex_;
  // Null: none are asked for.
  std::shared_ptr<const TlsMaterial> tls_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<const Tokens> tokens_ ABSL_GUARDED_BY(mutex_);
};

absl::StatusOr<std::unique_ptr<Credentials>> Credentials::Load(
    const Options& options, Metrics* metrics) {
  auto credentials =
      std::unique_ptr<Credentials>(new Credentials(options, metrics));
  {
    std::lock_guard lock(credentials->reload_mutex_);
    absl::Status status = credentials->ReloadTls();
    status.Update(credentials->ReloadTokens());
    if (!status.ok()) return status;
  }
  if (!options.tls.empty() || !options.tokens_file.empty()) {
    credentials->thread_ =
        std::thread([self = credentials.get()] { self->Run(); });
  }
  return credentials;
}

Credentials::Credentials(const Options& options, Metrics* metrics)
    : options_(options),
      metrics_(*metrics),
      current_(std::make_shared<Current>(metrics)) {}

Credentials::~Credentials() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stop_.notify_all();
  if (thread_.joinable()) thread_.join();
}

std::shared_ptr<grpc::ServerCredentials> Credentials::ForGrpc() const {
  PortSecurity security;
  if (!options_.tls.empty()) {
    security.tls = [current = current_] { return current->tls(); };
  }
  if (!options_.tokens_file.empty()) {
    security.authorize = [current = current_](absl::string_view method,
                                              absl::string_view authorization) {
      return current->Check(Needed(kMethods, method), authorization);
    };
  }
  return MakePortCredentials(std::move(security));
}

absl::Status Credentials::CheckHttp(absl::string_view path,
                                    absl::string_view authorization) const {
  return current_->Check(path == "/" ? std::nullopt : Needed(kPaths, path),
                         authorization);
}

std::function<bool(const std::string&)> Credentials::MetricsPasswords() const {
  if (options_.tokens_file.empty()) return nullptr;
  return [current = current_](const std::string& password) {
    return current->tokens()->Check(password, Scope::kMetrics).ok();
  };
}

void Credentials::Reload() {
  std::lock_guard lock(reload_mutex_);
  Report("tls", ReloadTls(), tls_error_);
  Report("tokens", ReloadTokens(), tokens_error_);
}

absl::Status Credentials::ReloadTls() {
  if (options_.tls.empty()) return absl::OkStatus();
  auto material = ReadTls(options_.tls, absl::Now());
  if (!material.ok()) return material.status();
  const std::shared_ptr<const TlsMaterial> before = current_->tls();
  if (before != nullptr && *before == *material) return absl::OkStatus();
  Log(LogLevel::kInfo, "certificate read",
      {{"file", options_.tls.certificate},
       {"expires",
        absl::FormatTime(material->expires_at, absl::UTCTimeZone())}});
  metrics_.SetCertificateExpiration(material->expires_at);
  metrics_.CountCredentialsRead("tls", /*taken=*/true);
  current_->set_tls(*std::move(material));
  return absl::OkStatus();
}

absl::Status Credentials::ReloadTokens() {
  const std::string& file = options_.tokens_file;
  if (file.empty()) return absl::OkStatus();
  const auto text = ReadSecretFile("--tokens-file", file);
  if (!text.ok()) return text.status();
  auto tokens = Tokens::Parse(*text, file);
  if (!tokens.ok()) return tokens.status();
  const std::shared_ptr<const Tokens> before = current_->tokens();
  if (before != nullptr && *before == *tokens) return absl::OkStatus();
  Log(LogLevel::kInfo, "tokens read",
      {{"file", file}, {"tokens", tokens->size()}});
  metrics_.CountCredentialsRead("tokens", /*taken=*/true);
  current_->set_tokens(*std::move(tokens));
  return absl::OkStatus();
}

void Credentials::Report(absl::string_view what, const absl::Status& status,
                         std::string& last_error) {
  const std::string error(status.message());
  if (!status.ok() && error != last_error) {
    Log(LogLevel::kError, "what was read before stays in use",
        {{"credentials", std::string(what)}, {"error", error}});
    metrics_.CountCredentialsRead(what, /*taken=*/false);
  }
  last_error = error;
}

void Credentials::Run() {
  std::unique_lock lock(mutex_);
  while (!stop_.wait_for(
      lock, absl::ToChronoNanoseconds(options_.period),
      [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return stopping_; })) {
    lock.unlock();
    Reload();
    lock.lock();
  }
}

}  // namespace tern

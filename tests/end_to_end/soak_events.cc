#include "tests/end_to_end/soak_events.h"

#include <grpcpp/grpcpp.h>
#include <signal.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/read_file.h"
#include "tests/tiny_model.h"

namespace tern {
namespace {

constexpr absl::Duration kPatience = absl::Minutes(1);
constexpr char kRefused[] =
    "tern_model_loads_total{model=\"sst2\",result=\"refused\"}";

std::string CredentialsRead(absl::string_view what, bool taken) {
  return absl::StrCat("tern_credentials_read_total{taken=\"",
                      taken ? "true" : "false", "\",what=\"", what, "\"}");
}

}  // namespace

std::string SoakEvents::Path(absl::string_view name) const {
  return absl::StrCat(folder_.path(), "/", name);
}

absl::Status SoakEvents::Start(const std::string& classifier) {
  classifier_ = classifier;
  std::filesystem::create_directories(Path("models/sst2"));
  PutVersion(version_);
  for (const auto& [name, task] :
       {std::pair("answerer", TinyTask::kQuestionAnswering),
        std::pair("guest", TinyTask::kSingleLabel)}) {
    absl::Status written = WriteTinyModel(
        Path(absl::StrCat("models/", name, "/1")), {.task = task});
    if (!written.ok()) return written;
  }
  std::filesystem::create_directories(Path("models/embedder"));
  std::filesystem::copy(TERN_SOURCE_DIR "/tests/model/goldens/embedding-mean",
                        Path("models/embedder/1"),
                        std::filesystem::copy_options::recursive);

  authority_ = MakeAuthority();
  const KeyPair pair = Issue(authority_);
  ReplaceFile(Path("root.pem"), authority_.certificate);
  ReplaceFile(Path("server.pem"), pair.certificate);
  ReplaceFile(Path("server.key"), pair.key);
  target_.root_file = Path("root.pem");
  target_.token = "the-token-of-the-traffic";
  target_.token_file = Path("token");
  ReplaceFile(target_.token_file, target_.token);
  metrics_token_ = "the-token-of-the-scraper";
  passing_token_ = "a-token-that-passes-0000";
  WriteTokens();

  auto watched = StartServer("127.0.0.1:0");
  if (!watched.ok()) return watched.status();
  watched_ = *std::move(watched);
  auto restarted = StartServer("127.0.0.1:0");
  if (!restarted.ok()) return restarted.status();
  restarted_ = *std::move(restarted);
  target_.watched = watched_->target();
  target_.http = watched_->http_target();
  target_.both =
      absl::StrCat("ipv4:", watched_->target(), ",", restarted_->target());
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<ServerProcess>> SoakEvents::StartServer(
    const std::string& listen) const {
  return ServerProcess::Start(
      {absl::StrCat("--model-repository=", Path("models")),
       "--repository-poll=100ms", "--listen=" + listen,
       "--admin-listen=127.0.0.1:0", "--http-listen=127.0.0.1:0",
       absl::StrCat("--tls-certificate=", Path("server.pem")),
       absl::StrCat("--tls-key=", Path("server.key")),
       absl::StrCat("--tokens-file=", Path("tokens")), "--tenant-key=x-tenant",
       "--max-waiting-tokens=16384", "--max-connection-age=20s",
       "--lame-duck=100ms"},
      {.retry = false, .tls_root_file = target_.root_file});
}

std::pair<absl::string_view, absl::Status> SoakEvents::Next() {
  switch (events_++ % 6) {
    case 0:
      return {"swap of a model", SwapModel()};
    case 1:
      return {"rotation of the certificate", RotateCertificate()};
    case 2:
      return {"load and unload by RPC", LoadAndUnloadByRpc()};
    case 3:
      return {"rotation of the tokens", RotateTokens()};
    case 4:
      return {"a broken model", RefuseBrokenModel()};
    default:
      return {"restart", RestartServer()};
  }
}

absl::Status SoakEvents::Stop() {
  const int watched = watched_->Stop(), restarted = restarted_->Stop();
  if (watched == 0 && restarted == 0) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("expected exit codes 0, found ",
                                          watched, " and ", restarted));
}

// At one moment, as a repository wants it.
void SoakEvents::PutVersion(int version) const {
  std::filesystem::copy(classifier_, Path("models/.new"),
                        std::filesystem::copy_options::recursive);
  std::filesystem::rename(Path("models/.new"),
                          Path(absl::StrCat("models/sst2/", version)));
}

void SoakEvents::RemoveVersion(int version) const {
  std::filesystem::rename(Path(absl::StrCat("models/sst2/", version)),
                          Path("models/.old"));
  std::filesystem::remove_all(Path("models/.old"));
}

void SoakEvents::WriteTokens() const {
  ReplaceFile(Path("tokens"),
              absl::StrCat(target_.token, " inference,admin\n", metrics_token_,
                           " metrics\n", passing_token_, " inference\n"));
}

absl::StatusOr<double> SoakEvents::Metric(const std::string& sample) const {
  auto samples = ReadMetrics(watched_->metrics_target(), metrics_token_);
  if (!samples.ok()) return samples.status();
  return (*samples)[sample];
}

absl::Status SoakEvents::AwaitOneMore(const std::string& sample,
                                      double before) const {
  const absl::Time give_up = absl::Now() + kPatience;
  while (absl::Now() < give_up) {
    const auto now = Metric(sample);
    if (!now.ok()) return now.status();
    if (*now > before) return absl::OkStatus();
    absl::SleepFor(absl::Milliseconds(50));
  }
  return absl::DeadlineExceededError(
      absl::StrCat(sample, " stayed at ", before));
}

absl::Status SoakEvents::SwapModel() {
  PutVersion(version_ + 1);
  const auto client = watched_->NewClient({.deadline = kPatience,
                                           .tls_root_file = target_.root_file,
                                           .token_file = target_.token_file});
  const absl::Time give_up = absl::Now() + kPatience;
  while (!client->GetModel("sst2", absl::StrCat(version_ + 1)).ok()) {
    if (absl::Now() > give_up) {
      return absl::DeadlineExceededError("the new version is not served");
    }
    absl::SleepFor(absl::Milliseconds(50));
  }
  RemoveVersion(version_++);
  return absl::OkStatus();
}

absl::Status SoakEvents::RefuseBrokenModel() {
  const auto before = Metric(kRefused);
  if (!before.ok()) return before.status();
  const int version = version_ + 1000;
  PutVersion(version);
  std::filesystem::resize_file(
      Path(absl::StrCat("models/sst2/", version, "/model.safetensors")), 1000);
  absl::Status refused = AwaitOneMore(kRefused, *before);
  RemoveVersion(version);
  return refused;
}

absl::Status SoakEvents::LoadGuest(bool load) const {
  grpc::SslCredentialsOptions tls;
  tls.pem_root_certs = authority_.certificate;
  const auto admin = inference::GRPCInferenceService::NewStub(
      grpc::CreateChannel(watched_->admin_target(), grpc::SslCredentials(tls)));
  grpc::ClientContext context;
  context.AddMetadata("authorization", absl::StrCat("Bearer ", target_.token));
  grpc::Status status;
  if (load) {
    inference::RepositoryModelLoadRequest request;
    inference::RepositoryModelLoadResponse response;
    request.set_model_name("guest");
    status = admin->RepositoryModelLoad(&context, request, &response);
  } else {
    inference::RepositoryModelUnloadRequest request;
    inference::RepositoryModelUnloadResponse response;
    request.set_model_name("guest");
    status = admin->RepositoryModelUnload(&context, request, &response);
  }
  if (status.ok()) return absl::OkStatus();
  return absl::UnknownError(status.error_message());
}

absl::Status SoakEvents::LoadAndUnloadByRpc() {
  absl::Status unloaded = LoadGuest(false);
  absl::SleepFor(absl::Milliseconds(200));
  unloaded.Update(LoadGuest(true));
  return unloaded;
}

// By way of a certificate without its key, which the server must not take.
absl::Status SoakEvents::RotateCertificate() {
  const KeyPair next = Issue(authority_);
  for (const bool taken : {false, true}) {
    const std::string sample = CredentialsRead("tls", taken);
    const auto before = Metric(sample);
    if (!before.ok()) return before.status();
    if (taken) {
      ReplaceFile(Path("server.key"), next.key);
    } else {
      ReplaceFile(Path("server.pem"), next.certificate);
    }
    absl::Status read = AwaitOneMore(sample, *before);
    if (!read.ok()) return read;
  }
  return absl::OkStatus();
}

absl::Status SoakEvents::RotateTokens() {
  const std::string sample = CredentialsRead("tokens", true);
  const auto before = Metric(sample);
  if (!before.ok()) return before.status();
  const std::string old_token = passing_token_;
  passing_token_ = absl::StrCat("a-token-that-passes-", 1000 + events_);
  WriteTokens();
  absl::Status read = AwaitOneMore(sample, *before);
  if (!read.ok()) return read;

  const auto call = [&](const std::string& token) {
    ReplaceFile(Path("passing"), token);
    return watched_
        ->NewClient({.deadline = kPatience,
                     .tls_root_file = target_.root_file,
                     .token_file = Path("passing")})
        ->ListModels()
        .status();
  };
  if (absl::Status status = call(passing_token_); !status.ok()) return status;
  if (call(old_token).code() == absl::StatusCode::kUnauthenticated) {
    return absl::OkStatus();
  }
  return absl::InternalError("the old token still works");
}

absl::Status SoakEvents::RestartServer() {
  const std::string target = restarted_->target();
  const int exit_code = restarted_->Stop();
  auto again = StartServer(target);
  if (!again.ok()) return again.status();
  restarted_ = *std::move(again);
  if (exit_code == 0) return absl::OkStatus();
  return absl::InternalError(
      absl::StrCat("expected exit code 0, found ", exit_code));
}

}  // namespace tern

#include "server/server.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "flags/effective_cores.h"
#include "grpcpp/ext/proto_server_reflection_plugin.h"
#include "grpcpp/server_builder.h"
#include "server/log.h"
#include "server/status_mapping.h"

namespace tern {
namespace {

// A client may ping an idle connection this often; gRPC's own 5 minutes are
// longer than most NATs and load balancers keep a silent connection.
constexpr absl::Duration kLeastPingInterval = absl::Seconds(10);
// We ping silent clients this often, and drop those that do not answer.
constexpr absl::Duration kPingInterval = absl::Minutes(1);
constexpr absl::Duration kPingTimeout = absl::Seconds(20);
// Calls of a connection at the same time; a client lets more of them wait.
constexpr int kMaxStreams = 1024;

constexpr absl::Duration kTrimPeriod = absl::Seconds(2);

// Tenants that metrics name; the others are summed up.
constexpr int kTopTenants = 20;

// Threads of gRPC's reflection, which keeps one for each open stream.
constexpr int kMostReflections = 32;

// In which the last responses over HTTP are sent.
constexpr absl::Duration kHttpFlush = absl::Seconds(1);

int Milliseconds(absl::Duration duration) {
  return static_cast<int>(absl::ToInt64Milliseconds(duration));
}

std::string WithPort(const std::string& address, int port) {
  return absl::StrCat(address.substr(0, address.rfind(':')), ":", port);
}

// gRPC looks at the length of a message after it has inflated it, and 4 MiB of
// gzip can be 4 GiB. So calls with compressed messages end UNIMPLEMENTED.
void RefuseCompression(grpc::ServerBuilder& builder) {
  for (const auto algorithm : {GRPC_COMPRESS_DEFLATE, GRPC_COMPRESS_GZIP}) {
    builder.SetCompressionAlgorithmSupportStatus(algorithm, false);
  }
  builder.AddChannelArgument(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0);
}

// Memory for messages that are on their way, of gRPC and of HTTP each. gRPC
// reads a message to its end before it looks at the bound of its length; past
// this it ends calls with RESOURCE_EXHAUSTED and takes no connections.
int64_t TransportBytes(const Options& options) {
  constexpr int64_t kLeast = 128 << 20;
  constexpr int64_t kLongestMessages = 32;
  return std::max(kLeast, kLongestMessages * options.max_message_bytes);
}

Scheduler::Options SchedulerOptions(const Options& options) {
  Scheduler::Options scheduler;
  scheduler.max_batch_tokens = options.max_batch_tokens;
  scheduler.max_waiting_requests = options.max_waiting_requests;
  scheduler.max_waiting_tokens = options.max_waiting_tokens;
  scheduler.max_waiting_bytes = options.max_waiting_bytes;
  scheduler.tenant_share = options.tenant_share;
  scheduler.quotas = options.tenant_quotas;
  scheduler.top_tenants = options.tenant_key.empty() ? 0 : kTopTenants;
  return scheduler;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const Options& options) {
  auto server = std::unique_ptr<Server>(new Server(options));
  if (absl::Status status = server->LoadModels(); !status.ok()) return status;
  if (absl::Status status = server->Listen(); !status.ok()) return status;
  return server;
}

Server::Server(const Options& options)
    : options_(options),
      scheduler_(SchedulerOptions(options), &clock_),
      metrics_(&scheduler_),
      cores_(EffectiveCores()),
      load_meter_(EffectiveCores()),
      call_log_(options.call_log),
      call_environment_(
          {.max_inputs = options.max_inputs,
           .clock = clock_,
           .models = models_,
           .scheduler = scheduler_,
           .metrics = metrics_,
           .log = call_log_,
           .tenant_key = options_.tenant_key,
           .load_meter = options.load_reports ? &load_meter_ : nullptr}),
      inference_service_(call_environment_),
      model_service_(&models_),
      health_service_({v1::InferenceService::service_full_name(),
                       v1::ModelService::service_full_name(),
                       inference::GRPCInferenceService::service_full_name()}),
      oip_service_(call_environment_, &health_service_),
      http_gateway_(call_environment_, &health_service_) {}

Server::~Server() { StopServing(options_.drain_timeout); }

absl::Status Server::LoadModels() {
  for (const ModelSource& source : options_.models) {
    const auto model = LoadServedModel(source, options_.verify_checksums);
    if (!model.ok()) return model.status();
    ReportLoad(source, model);
    if (absl::Status status = models_.Add(*model); !status.ok()) return status;
  }
  if (absl::Status status = LoadRepository(); !status.ok()) return status;
  AnnounceModels();
  return absl::OkStatus();
}

absl::Status Server::LoadRepository() {
  if (options_.model_repository.empty()) return absl::OkStatus();
  repository_ = std::make_unique<ModelRepository>(
      ModelRepository::Options{.root = options_.model_repository,
                               .poll = options_.repository_poll,
                               .verify_checksums = options_.verify_checksums},
      &models_,
      ModelRepository::Observer{
          .loaded =
              [this](const ModelSource& source,
                     const absl::StatusOr<std::shared_ptr<const ServedModel>>&
                         model) { ReportLoad(source, model); },
          .changed = [this] { AnnounceModels(); }});
  if (absl::Status status = repository_->LoadAll(); !status.ok()) {
    return status;
  }
  if (!models_.All().empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "--model-repository: expected NAME/VERSION folders that can be served, "
      "found none in '",
      options_.model_repository, "'"));
}

void Server::ReportLoad(
    const ModelSource& source,
    const absl::StatusOr<std::shared_ptr<const ServedModel>>& model) {
  metrics_.CountLoad(source.name, model.ok());
  if (!model.ok()) {
    Log(LogLevel::kError, "model refused",
        {{"model", source.name},
         {"version", source.version},
         {"folder", source.folder},
         {"error", std::string(model.status().message())}});
    return;
  }
  const Engine& engine = *(*model)->engine;
  Log(LogLevel::kInfo, "model loaded",
      {{"model", source.name},
       {"version", source.version},
       {"folder", source.folder},
       {"precision", std::string(PrecisionName(engine.precision()))},
       {"variant", std::string(engine.variant())},
       {"self_check", (*model)->self_checked ? "passed" : "none"},
       {"bytes", engine.file_bytes()},
       {"seconds", absl::ToDoubleSeconds((*model)->load_time)}});
}

void Server::AnnounceModels() {
  const ModelRegistry::Models models = models_.All();
  metrics_.SetModels(models);
  std::set<std::string> services;
  for (const auto& model : models) {
    services.insert(absl::StrCat("models/", model->name));
    services.insert(absl::StrCat("models/", model->name, "/", model->version));
  }
  health_service_.SetModels(std::move(services));
}

absl::Status Server::Listen() {
  auto credentials = Credentials::Load(
      {.tls = options_.tls, .tokens_file = options_.tokens_file}, &metrics_);
  if (!credentials.ok()) return credentials.status();
  credentials_ = *std::move(credentials);
  if (!options_.metrics_listen.empty()) {
    const absl::StatusOr<int> port = metrics_.Listen(
        options_.metrics_listen, credentials_->MetricsPasswords());
    if (!port.ok()) return port.status();
    metrics_address_ = WithPort(options_.metrics_listen, *port);
  }
  StartWorkers();

  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  using grpc::experimental::ExternalConnectionAcceptor;
  const std::shared_ptr<ExternalConnectionAcceptor> connections =
      builder.experimental().AddExternalConnectionAcceptor(
          grpc::ServerBuilder::experimental_type::ExternalConnectionType::
              FROM_FD,
          credentials_->ForGrpc());
  builder.RegisterService(&inference_service_);
  builder.RegisterService(&model_service_);
  builder.RegisterService(&health_service_);
  builder.RegisterService(&oip_service_);
  builder.SetMaxReceiveMessageSize(options_.max_message_bytes);
  RefuseCompression(builder);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kMaxStreams);
  builder.SetResourceQuota(grpc::ResourceQuota("tern")
                               .Resize(TransportBytes(options_))
                               .SetMaxThreads(kMostReflections));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS,
                             Milliseconds(kPingInterval));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS,
                             Milliseconds(kPingTimeout));
  builder.AddChannelArgument(
      GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
      Milliseconds(kLeastPingInterval));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_MS,
                             Milliseconds(options_.max_connection_age));
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS,
                             Milliseconds(options_.drain_timeout));
  auto acceptor = Acceptor::Listen(options_.listen);
  if (!acceptor.ok()) return Annotate(acceptor.status(), "--listen");
  acceptor_ = *std::move(acceptor);
  grpc_server_ = builder.BuildAndStart();
  if (grpc_server_ == nullptr) {
    return absl::InternalError("gRPC could not start; its log says why");
  }
  acceptor_->Start(
      [connections](int connection) {
        ExternalConnectionAcceptor::NewConnectionParameters parameters;
        parameters.fd = connection;
        connections->HandleNewConnection(&parameters);
      },
      [this] { metrics_.CountRefusedConnection(); });
  address_ = WithPort(options_.listen, acceptor_->port());
  if (absl::Status status = ListenForHttp(); !status.ok()) return status;
  if (absl::Status status = ListenForAdmin(); !status.ok()) return status;
  health_service_.SetServing(true);
  WatchWorkers();
  memory_trimmer_ = std::make_unique<MemoryTrimmer>(kTrimPeriod);
  if (repository_ != nullptr) repository_->Watch();
  return absl::OkStatus();
}

absl::Status Server::ListenForHttp() {
  if (options_.http_listen.empty()) return absl::OkStatus();
  auto server = HttpServer::Listen(
      {.address = options_.http_listen,
       .max_body_bytes = options_.max_message_bytes,
       .max_incoming_bytes = TransportBytes(options_),
       .max_outgoing_bytes = TransportBytes(options_)},
      [this](const HttpRequest& request, const HttpServer::Respond& respond) {
        http_gateway_.Handle(request, respond);
      },
      [this](const HttpRequest& request) {
        const auto found = request.headers.find("authorization");
        const absl::Status allowed = credentials_->CheckHttp(
            request.path, found == request.headers.end() ? "" : found->second);
        return HttpGateway::Refuse(request, allowed);
      },
      {.refused =
           [this](absl::string_view reason) { metrics_.CountRejected(reason); },
       .closed =
           [this](absl::string_view reason) {
             metrics_.CountClosedHttpConnection(reason);
           }});
  if (!server.ok()) return server.status();
  http_server_ = *std::move(server);
  http_address_ = WithPort(options_.http_listen, http_server_->port());
  return absl::OkStatus();
}

absl::Status Server::ListenForAdmin() {
  if (options_.admin_listen.empty()) return absl::OkStatus();
  admin_service_ = std::make_unique<AdminService>(&models_, &health_service_,
                                                  repository_.get());
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort(options_.admin_listen, credentials_->ForGrpc(),
                           &port);
  builder.RegisterService(admin_service_.get());
  RefuseCompression(builder);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  admin_server_ = builder.BuildAndStart();
  if (admin_server_ == nullptr || port == 0) {
    return absl::UnavailableError(
        absl::StrCat("--admin-listen: expected a free address, found '",
                     options_.admin_listen, "'"));
  }
  admin_address_ = WithPort(options_.admin_listen, port);
  return absl::OkStatus();
}

void Server::StartWorkers() {
  Worker::Options options;
  options.max_batch_tokens = options_.max_batch_tokens;
  options.max_threads = options_.threads;
  const auto models = models_.All();
  for (int i = 0; i < options_.workers; ++i) {
    workers_.push_back(std::make_unique<Worker>(options, &clock_, &scheduler_,
                                                &cores_, &metrics_, models));
  }
}

void Server::WatchWorkers() {
  Watchdog::Options options;
  options.period = options_.stuck_after / options.limit;
  watchdog_ = std::make_unique<Watchdog>(
      options,
      [this] {
        std::vector<int64_t> batches;
        for (const auto& worker : workers_) {
          batches.push_back(worker->current_batch());
        }
        return batches;
      },
      [this](int stuck) {
        Log(stuck > 0 ? LogLevel::kError : LogLevel::kInfo,
            stuck > 0 ? "workers are stuck: NOT_SERVING"
                      : "no worker is stuck any more: SERVING",
            {{"workers", stuck}});
        metrics_.SetStuckWorkers(stuck);
        health_service_.SetServing(stuck == 0);
      });
}

void Server::Drain() {
  Log(LogLevel::kInfo, "draining",
      {{"lame_duck_seconds", absl::ToDoubleSeconds(options_.lame_duck)},
       {"in_flight", scheduler_.counts().in_flight}});
  if (repository_ != nullptr) repository_->Stop();
  watchdog_.reset();  // it must not say SERVING any more
  health_service_.SetServing(false);
  absl::SleepFor(options_.lame_duck);
  StopServing(options_.drain_timeout);
  const Scheduler::Counts counts = scheduler_.counts();
  Log(LogLevel::kInfo, "stopped",
      {{"accepted", counts.accepted},
       {"answered", counts.answered},
       {"failed", counts.failed},
       {"cancelled", counts.cancelled},
       {"expired", counts.expired}});
}

void Server::StopServing(absl::Duration timeout) {
  memory_trimmer_.reset();
  watchdog_.reset();
  health_service_.SetServing(false);
  health_service_.EndWatches();
  oip_service_.EndStreams();
  const absl::Time give_up = absl::Now() + timeout;
  if (http_server_ != nullptr) http_server_->Drain(absl::Now());
  acceptor_.reset();
  if (grpc_server_ != nullptr) {
    // Returns when all calls have ended; the workers run on meanwhile.
    grpc_server_->Shutdown(absl::ToChronoTime(give_up));
    grpc_server_->Wait();
    grpc_server_.reset();  // joins its threads
  }
  const bool drained = http_server_ == nullptr || http_server_->Drain(give_up);
  scheduler_.Close();  // refuses the calls that AbandonCalls does not see yet
  if (!drained) http_gateway_.AbandonCalls();
  workers_.clear();
  if (http_server_ != nullptr) {
    // Every call that the workers had has been responded to.
    http_server_->Drain(absl::Now() + kHttpFlush);
    http_server_.reset();
  }
  // A load in progress ends first.
  if (admin_server_ != nullptr) {
    admin_server_->Shutdown(absl::ToChronoTime(absl::Now()));
    admin_server_->Wait();
    admin_server_.reset();
  }
  repository_.reset();
}

}  // namespace tern

#include "server/http_gateway.h"

#include <optional>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "google/protobuf/util/json_util.h"
#include "server/answer_call.h"
#include "server/classify_call.h"
#include "server/embed_call.h"
#include "server/json_depth.h"
#include "server/model_service.h"
#include "server/no_throw.h"
#include "server/oip_call.h"
#include "server/oip_json.h"
#include "server/oip_model.h"
#include "server/status_mapping.h"
#include "server/web_page.h"
#include "tern/v1/model_service.pb.h"

namespace tern {
namespace {

using Path = std::vector<absl::string_view>;

// Of a call that brings no timeout: unlike gRPC's, a client that goes away is
// noticed late.
constexpr absl::Duration kDefaultTimeout = absl::Seconds(60);

// How gRPC's codes go over HTTP (google/rpc/code.proto has this table).
int HttpStatus(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kOk:
      return 200;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kOutOfRange:
      return 400;
    case absl::StatusCode::kUnauthenticated:
      return 401;
    case absl::StatusCode::kPermissionDenied:
      return 403;
    case absl::StatusCode::kNotFound:
      return 404;
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kAborted:
      return 409;
    case absl::StatusCode::kResourceExhausted:
      return 429;
    case absl::StatusCode::kCancelled:
      return 499;
    case absl::StatusCode::kUnimplemented:
      return 501;
    case absl::StatusCode::kUnavailable:
      return 503;
    case absl::StatusCode::kDeadlineExceeded:
      return 504;
    default:
      return 500;
  }
}

HttpResponse Error(const absl::Status& status, const nlohmann::json& body) {
  HttpResponse response = {.status = HttpStatus(status.code()),
                           .body = absl::StrCat(ToText(body), "\n")};
  if (const auto delay = RetryDelay(status); delay.has_value()) {
    response.headers.emplace_back("Retry-After",
                                  absl::StrCat(absl::ToInt64Seconds(
                                      absl::Ceil(*delay, absl::Seconds(1)))));
  }
  // As RFC 6750 has it.
  if (absl::IsUnauthenticated(status)) {
    response.headers.emplace_back("WWW-Authenticate", "Bearer realm=\"tern\"");
  } else if (absl::IsPermissionDenied(status)) {
    response.headers.emplace_back(
        "WWW-Authenticate",
        "Bearer realm=\"tern\", error=\"insufficient_scope\"");
  }
  return response;
}

HttpResponse V1Error(const absl::Status& status) {
  return Error(status, {{"code", static_cast<int>(status.code())},
                        {"status", StatusCodeName(status.code())},
                        {"message", std::string(status.message())}});
}

// As Triton and KServe report theirs.
HttpResponse V2Error(const absl::Status& status) {
  return Error(status, {{"error", std::string(status.message())}});
}

absl::Status NoSuchPath(const HttpRequest& request) {
  return absl::NotFoundError(
      absl::StrCat("nothing at ", request.method, " ", request.path));
}

Path SplitPath(const HttpRequest& request) {
  return absl::StrSplit(
      absl::string_view(request.path).substr(request.path.empty() ? 0 : 1),
      '/');
}

using CallMaker = std::shared_ptr<Call> (*)(const CallEnvironment&);

template <typename SomeCall>
std::shared_ptr<Call> MakeCall(const CallEnvironment& environment) {
  return std::make_shared<SomeCall>(environment);
}

// What makes the call that a path of /v1 is for; null: no call.
CallMaker FindV1Call(const Path& path) {
  if (path.size() != 2) return nullptr;
  if (path[1] == "classify") return &MakeCall<ClassifyCall>;
  if (path[1] == "answer") return &MakeCall<AnswerCall>;
  if (path[1] == "embed") return &MakeCall<EmbedCall>;
  return nullptr;
}

// /v2/models/NAME, then /versions/VERSION if there is one, then the action.
struct V2ModelPath {
  std::string name;
  std::string version;
  Path action;
};

// None: another path.
std::optional<V2ModelPath> ParseV2ModelPath(const Path& path) {
  if (path.size() < 3 || path[0] != "v2" || path[1] != "models") {
    return std::nullopt;
  }
  const bool has_version = path.size() >= 5 && path[3] == "versions";
  return V2ModelPath{
      .name = std::string(path[2]),
      .version = std::string(has_version ? path[4] : ""),
      .action = Path(path.begin() + (has_version ? 5 : 3), path.end())};
}

// Whether there is something to POST to.
bool TakesPost(const Path& path) {
  if (path[0] == "v1") return FindV1Call(path) != nullptr;
  const auto model = ParseV2ModelPath(path);
  return model.has_value() ? model->action == Path{"infer"}
                           : path == Path{"v2", "repository", "index"};
}

HttpResponse Json(const nlohmann::json& json) {
  return {.body = absl::StrCat(ToText(json), "\n")};
}

// The whole message as proto3 maps it to JSON.
HttpResponse ProtoJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.always_print_primitive_fields = true;
  HttpResponse response;
  // Cannot fail: its strings were checked, or come from a model's files.
  (void)google::protobuf::util::MessageToJsonString(message, &response.body,
                                                    options);
  response.body += '\n';
  return response;
}

absl::Status ParseProtoJson(const std::string& body,
                            google::protobuf::Message& message) {
  if (absl::Status depth = CheckJsonDepth(body); !depth.ok()) return depth;
  const auto status =
      google::protobuf::util::JsonStringToMessage(body, &message);
  if (status.ok()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("body: expected a ", message.GetDescriptor()->full_name(),
                   " as JSON: ", std::string(status.message())));
}

// Reads the body of an infer request, whose tensors may follow the JSON as
// bytes. Errors: INVALID_ARGUMENT.
absl::Status ParseInferBody(const HttpRequest& request,
                            inference::ModelInferRequest& message,
                            OipBinaryOutputs& binary_outputs) {
  size_t json_bytes = request.body.size();
  if (const auto length =
          request.headers.find("inference-header-content-length");
      length != request.headers.end() &&
      !absl::SimpleAtoi(length->second, &json_bytes)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "Inference-Header-Content-Length: expected a number of bytes, found '",
        length->second, "'"));
  }
  return ParseOipBody(request.body, json_bytes, message, binary_outputs);
}

// gRPC's own header: up to eight digits and a unit, e.g. "500m".
absl::StatusOr<absl::Duration> ReadTimeout(const HttpRequest& request) {
  const auto found = request.headers.find("grpc-timeout");
  if (found == request.headers.end()) return kDefaultTimeout;
  const absl::string_view text = found->second;
  static constexpr std::pair<char, absl::Duration (*)(int64_t)> kUnits[] = {
      {'H', [](int64_t n) { return absl::Hours(n); }},
      {'M', [](int64_t n) { return absl::Minutes(n); }},
      {'S', [](int64_t n) { return absl::Seconds(n); }},
      {'m', [](int64_t n) { return absl::Milliseconds(n); }},
      {'u', [](int64_t n) { return absl::Microseconds(n); }},
      {'n', [](int64_t n) { return absl::Nanoseconds(n); }}};
  for (const auto& [unit, duration] : kUnits) {
    int64_t number = 0;
    if (text.size() >= 2 && text.size() <= 9 && text.back() == unit &&
        absl::SimpleAtoi(text.substr(0, text.size() - 1), &number) &&
        number >= 0) {
      return duration(number);
    }
  }
  return absl::InvalidArgumentError(
      absl::StrCat("Grpc-Timeout: expected up to 8 digits and one of H, M, S, "
                   "m, u, n, found '",
                   text, "'"));
}

}  // namespace

std::optional<HttpResponse> HttpGateway::Refuse(const HttpRequest& request,
                                                const absl::Status& allowed) {
  const Path path = SplitPath(request);
  absl::Status status = allowed;
  if (status.ok() && request.method == "POST" && !TakesPost(path)) {
    status = NoSuchPath(request);
  }
  if (status.ok()) return std::nullopt;
  return path[0] == "v2" ? V2Error(status) : V1Error(status);
}

void HttpGateway::Handle(const HttpRequest& request,
                         const HttpServer::Respond& respond) {
  const Path path = SplitPath(request);
  if (path[0] == "v1") return HandleV1(path, request, respond);
  if (path[0] == "v2") return HandleV2(path, request, respond);
  const bool get = request.method == "GET" || request.method == "HEAD";
  if (get && request.path == "/") {
    return respond({.content_type = "text/html; charset=utf-8",
                    .body = kWebPage,
                    .headers = {{"Content-Security-Policy",
                                 "default-src 'none'; connect-src 'self'; "
                                 "img-src data:; script-src 'unsafe-inline'; "
                                 "style-src 'unsafe-inline'"},
                                {"X-Content-Type-Options", "nosniff"}}});
  }
  if (get && request.path == "/healthz") {
    const bool serving = health_.serving();
    return respond({.status = serving ? 200 : 503,
                    .content_type = "text/plain; charset=utf-8",
                    .body = serving ? "SERVING\n" : "NOT_SERVING\n"});
  }
  respond(V1Error(NoSuchPath(request)));
}

void HttpGateway::HandleV1(const Path& path, const HttpRequest& request,
                           const HttpServer::Respond& respond) {
  if (path.size() == 2 && path[1] == "models" && request.method == "GET") {
    v1::ListModelsResponse models;
    for (const auto& model : environment_.models.All()) {
      *models.add_models() = ToProto(*model);
    }
    return respond(ProtoJson(models));
  }
  const CallMaker make_call = FindV1Call(path);
  if (make_call == nullptr || request.method != "POST") {
    return respond(V1Error(NoSuchPath(request)));
  }
  StartCall(
      make_call(environment_), request,
      [&request](Call& call) {
        return ParseProtoJson(request.body, call.request_message());
      },
      [](Call& call) { return ProtoJson(call.response_message()); }, &V1Error,
      respond);
}

void HttpGateway::HandleV2(const Path& path, const HttpRequest& request,
                           const HttpServer::Respond& respond) {
  const bool get = request.method == "GET";
  const Path rest(path.begin() + 1, path.end());
  if (get && rest.empty()) {
    inference::ServerMetadataResponse metadata = OipServerMetadata();
    metadata.add_extensions("binary_tensor_data");
    return respond(Json(ToPlainJson(metadata)));
  }
  if (get && rest == Path{"health", "live"}) return respond({});
  if (get && rest == Path{"health", "ready"}) {
    return respond({.status = health_.serving() ? 200 : 503});
  }
  if (request.method == "POST" && rest == Path{"repository", "index"}) {
    const nlohmann::json index = ToPlainJson(OipRepositoryIndex(
        environment_.models, health_.serving(), /*only_ready=*/false));
    return respond(Json(index.contains("models") ? index["models"]
                                                 : nlohmann::json::array()));
  }
  if (const auto model = ParseV2ModelPath(path); model.has_value()) {
    return HandleV2Model(model->name, model->version, model->action, request,
                         respond);
  }
  respond(V2Error(NoSuchPath(request)));
}

void HttpGateway::HandleV2Model(const std::string& name,
                                const std::string& version, const Path& action,
                                const HttpRequest& request,
                                const HttpServer::Respond& respond) {
  if (request.method == "POST" && action == Path{"infer"}) {
    return Infer(name, version, request, respond);
  }
  if (request.method != "GET" || action.size() > 1) {
    return respond(V2Error(NoSuchPath(request)));
  }
  const auto model = FindOipModel(environment_.models, name, version);
  if (!model.ok()) return respond(V2Error(model.status()));
  if (action.empty()) {
    return respond(Json(ToPlainJson(
        OipModelMetadata(**model, OipVersions(environment_.models, name)))));
  }
  if (action[0] == "ready") {
    return respond({.status = health_.serving() ? 200 : 503});
  }
  if (action[0] == "config") {
    return respond(
        Json(ToPlainJson(OipModelConfig(**model, environment_.max_inputs))));
  }
  if (action[0] == "stats") {
    const auto statistics = OipModelStatistics(
        environment_.models, environment_.metrics, name, version);
    return respond(statistics.ok() ? Json(ToPlainJson(*statistics))
                                   : V2Error(statistics.status()));
  }
  respond(V2Error(NoSuchPath(request)));
}

void HttpGateway::Infer(const std::string& model, const std::string& version,
                        const HttpRequest& request,
                        const HttpServer::Respond& respond) {
  auto binary_outputs = std::make_shared<OipBinaryOutputs>();
  StartCall(
      std::make_shared<OipCall>(environment_), request,
      [&](Call& call) {
        auto& message =
            static_cast<inference::ModelInferRequest&>(call.request_message());
        const absl::Status status =
            ParseInferBody(request, message, *binary_outputs);
        message.set_model_name(model);
        message.set_model_version(version);
        return status;
      },
      [binary_outputs](Call& call) {
        OipBody body = WriteOipBody(static_cast<inference::ModelInferResponse&>(
                                        call.response_message()),
                                    *binary_outputs);
        HttpResponse response = {.body = std::move(body.bytes)};
        if (body.json_bytes < response.body.size()) {
          response.content_type = "application/octet-stream";
          response.headers.emplace_back("Inference-Header-Content-Length",
                                        absl::StrCat(body.json_bytes));
        }
        return response;
      },
      &V2Error, respond);
}

void HttpGateway::StartCall(std::shared_ptr<Call> call,
                            const HttpRequest& request, const Parse& parse,
                            Render render, RenderError render_error,
                            const HttpServer::Respond& respond) {
  const auto timeout = ReadTimeout(request);
  // A header may have no name.
  const auto tenant =
      call->tenant_key().empty()
          ? request.headers.end()
          : request.headers.find(absl::AsciiStrToLower(call->tenant_key()));
  if (tenant != request.headers.end()) call->set_tenant(tenant->second);
  const auto traceparent = request.headers.find(kTraceparent);
  if (traceparent != request.headers.end()) {
    call->set_traceparent(traceparent->second);
  }
  absl::Status ready = timeout.status();
  if (ready.ok()) ready = call->CheckRoom(request.body.size());
  if (ready.ok()) {
    ready = NoThrow("the body could not be read", [&] { return parse(*call); });
  }
  Call* const started = call.get();
  {
    std::lock_guard lock(mutex_);
    calls_.emplace(started, std::move(call));
  }
  started->Start(
      ready, environment_.clock.Now() + timeout.value_or(kDefaultTimeout),
      [this, started, render = std::move(render), render_error,
       respond](const absl::Status& status) {
        const auto response = NoThrow("the response could not be written",
                                      [&]() -> absl::StatusOr<HttpResponse> {
                                        if (!status.ok()) return status;
                                        return render(*started);
                                      });
        const std::shared_ptr<Call> ended = TakeCall(started);
        respond(response.ok() ? *response : render_error(response.status()));
      });
}

std::shared_ptr<Call> HttpGateway::TakeCall(Call* call) {
  std::lock_guard lock(mutex_);
  const auto found = calls_.find(call);
  std::shared_ptr<Call> taken = std::move(found->second);
  calls_.erase(found);
  return taken;
}

void HttpGateway::AbandonCalls() {
  std::vector<std::shared_ptr<Call>> calls;
  {
    std::lock_guard lock(mutex_);
    for (const auto& [address, call] : calls_) calls.push_back(call);
  }
  for (const auto& call : calls) call->Abandon(Awaited::kCancelled);
}

}  // namespace tern

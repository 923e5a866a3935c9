// HTTP and JSON for what gRPC serves: /v1 is tern.v1 as its protos map to
// JSON, /v2 the REST form of the Open Inference Protocol, and / a page to try
// the models on.
//
// A request starts the same Calls as one that came by gRPC.
//
// Thread-safe.

#ifndef TERN_SERVER_HTTP_GATEWAY_H_
#define TERN_SERVER_HTTP_GATEWAY_H_

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "server/call.h"
#include "server/health_service.h"
#include "server/http_server.h"

namespace tern {

class HttpGateway {
 public:
  // `health`, which outlives this, says whether the server is ready.
  HttpGateway(const CallEnvironment& environment, HealthService* health)
      : environment_(environment), health_(*health) {}

  // What refuses a request before its body comes: the error of `allowed`, or
  // that there is nothing to POST to at its path. None: it is for Handle().
  static std::optional<HttpResponse> Refuse(const HttpRequest& request,
                                            const absl::Status& allowed);
  // Responds to a request.
  void Handle(const HttpRequest& request, const HttpServer::Respond& respond);

  // Says of every call under way that nobody awaits it any more, so that all
  // are responded to soon.
  void AbandonCalls();

 private:
  // Reads the body into the call's request.
  using Parse = std::function<absl::Status(Call&)>;
  // Makes the response of a call that was answered.
  using Render = std::function<HttpResponse(Call&)>;
  // Makes the response of one that was not.
  using RenderError = HttpResponse (*)(const absl::Status&);

  void HandleV1(const std::vector<absl::string_view>& path,
                const HttpRequest& request, const HttpServer::Respond& respond);
  void HandleV2(const std::vector<absl::string_view>& path,
                const HttpRequest& request, const HttpServer::Respond& respond);
  void HandleV2Model(const std::string& name, const std::string& version,
                     const std::vector<absl::string_view>& action,
                     const HttpRequest& request,
                     const HttpServer::Respond& respond);
  void Infer(const std::string& model, const std::string& version,
             const HttpRequest& request, const HttpServer::Respond& respond);

  // Calls `parse` before it returns, if the queue has room for the call.
  void StartCall(std::shared_ptr<Call> call, const HttpRequest& request,
                 const Parse& parse, Render render, RenderError render_error,
                 const HttpServer::Respond& respond);
  // Removes a call from those under way.
  std::shared_ptr<Call> TakeCall(Call* call);

  const CallEnvironment environment_;
  HealthService& health_;

  std::mutex mutex_;
  std::map<const Call*, std::shared_ptr<Call>> calls_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tern

#endif  // TERN_SERVER_HTTP_GATEWAY_H_

// HTTP/1.1 requests in, responses out, whenever those are ready.
//
// A request's connection is put aside while its handler works, so what waits
// takes no thread. Bodies and responses that are on their way have a bound over
// all connections; what is between them is the handler's to bound.
// Only http_server.cc knows the library, libmicrohttpd.
//
// Thread-safe.

#ifndef TERN_SERVER_HTTP_SERVER_H_
#define TERN_SERVER_HTTP_SERVER_H_

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace tern {

struct HttpRequest {
  std::string method;                          // "GET", "POST", ...
  std::string path;                            // decoded, without the query
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;                            // a POST's; no other is kept
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "application/json";
  std::string body = {};
  std::vector<std::pair<std::string, std::string>> headers = {};
};

// Told of what a server's handler does not see, on any thread. Each may be
// null, and gets a fixed word.
struct HttpObserver {
  // A request was refused: invalid, incoming_full or shutting_down.
  std::function<void(absl::string_view reason)> refused = nullptr;
  // A connection was closed: too_many, no_request or slow_response.
  std::function<void(absl::string_view reason)> closed = nullptr;
};

class HttpServer {
 public:
  struct Options {
    std::string address;  // host:port
    int64_t max_body_bytes = 4 << 20;
    // Of all bodies that have not come in full; past it requests are answered
    // 429.
    int64_t max_incoming_bytes = 128 << 20;
    // Of all responses that their clients have not taken; past it the
    // connection that has been at its response for longest is closed.
    int64_t max_outgoing_bytes = 128 << 20;
    // Where one more comes, the connection that has waited longest for its
    // request, be it half of one, is closed.
    int max_connections = 1024;
    // A connection on which nothing moves for so long is closed.
    absl::Duration idle_timeout = absl::Seconds(60);
    // So is one whose request has not come in full so long after it began to
    // wait for it, however often a byte moves.
    absl::Duration request_timeout = absl::Seconds(60);
  };
  // Called once, on any thread.
  using Respond = std::function<void(HttpResponse)>;
  // Called for each request on a thread of the server; should not block.
  using Handler = std::function<void(HttpRequest, Respond)>;
  // Called likewise before the body has come. A response refuses the request
  // at once, and ends its connection.
  using Check = std::function<std::optional<HttpResponse>(const HttpRequest&)>;

  // `check` may be null: nothing is refused. Errors: UNAVAILABLE for an address
  // that it cannot listen on.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Listen(
      const Options& options, Handler handler, Check check = nullptr,
      HttpObserver observer = {});
  // All requests that the handler got must have been responded to, or be so
  // before it returns.
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  int port() const { return port_; }

  // Takes no more connections and requests: one that has not come in full by
  // now is answered 503 when it has. Waits until those that the handler got are
  // responded to and sent, or until `give_up`. False: some are not.
  bool Drain(absl::Time give_up);

 private:
  struct Exchange;
  struct Library;

  // A response that its client has not taken.
  struct Outgoing {
    absl::Time since;
    int64_t bytes = 0;
  };

  HttpServer(const Options& options, Handler handler, Check check,
             HttpObserver observer);
  absl::Status Start();
  // Shuts the connections down that have waited for a request for too long,
  // until the end.
  void Sweep();
  // Closes the one that has waited longest, if there are too many.
  void MakeRoom() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Notes a response, and closes others for it if too much is outgoing.
  void AddOutgoing(int connection, int64_t bytes);
  void ForgetOutgoing(int connection) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Options options_;
  const Handler handler_;
  const Check check_;
  const HttpObserver observer_;
  int port_ = 0;
  // Past the bound by a piece of a body at a time.
  std::atomic<int64_t> incoming_bytes_ = 0;

  std::mutex mutex_;
  std::condition_variable none_;
  int accepted_ ABSL_GUARDED_BY(mutex_) = 0;  // handed over and not ended
  bool draining_ ABSL_GUARDED_BY(mutex_) = false;
  int connections_ ABSL_GUARDED_BY(mutex_) = 0;
  // Since when a connection, by its socket, has waited for a request.
  std::map<int, absl::Time> waiting_since_ ABSL_GUARDED_BY(mutex_);
  // What each connection, by its socket, sends.
  std::map<int, Outgoing> outgoing_ ABSL_GUARDED_BY(mutex_);
  int64_t outgoing_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  std::condition_variable stop_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread sweeper_;

  std::unique_ptr<Library> library_;  // last: its threads end first
};

}  // namespace tern

#endif  // TERN_SERVER_HTTP_SERVER_H_

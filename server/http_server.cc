#include "server/http_server.h"

#include <microhttpd.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <exception>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "server/clock.h"
#include "server/log.h"

namespace tern {
namespace {

// Parsing texts is all that these do.
constexpr unsigned kThreads = 2;
// Times the connections that we keep: the library turns away those past it, and
// needs a moment to close those that we end.
constexpr int kRoom = 2;
constexpr int kTooLarge = 413;
constexpr int kTooManyRequests = 429;
constexpr int kUnavailable = 503;

struct AddressInfo {
  explicit AddressInfo(const std::string& address) {
    const size_t colon = address.rfind(':');
    std::string host = address.substr(0, colon);
    if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
      host = host.substr(1, host.size() - 2);  // an IPv6 address
    }
    addrinfo hints = {};
    hints.ai_flags = AI_PASSIVE;
    hints.ai_socktype = SOCK_STREAM;
    getaddrinfo(host.c_str(), address.substr(colon + 1).c_str(), &hints,
                &first);
  }
  ~AddressInfo() {
    if (first != nullptr) freeaddrinfo(first);
  }
  AddressInfo(const AddressInfo&) = delete;
  AddressInfo& operator=(const AddressInfo&) = delete;

  addrinfo* first = nullptr;  // null: no such host
};

MHD_Result AddHeader(void* headers, MHD_ValueKind, const char* name,
                     const char* value) {
  (*static_cast<std::map<std::string, std::string>*>(
      headers))[absl::AsciiStrToLower(name)] = value == nullptr ? "" : value;
  return MHD_YES;
}

MHD_Result Send(MHD_Connection* connection, const HttpResponse& from) {
  MHD_Response* response = MHD_create_response_from_buffer(
      from.body.size(), const_cast<char*>(from.body.data()),
      MHD_RESPMEM_MUST_COPY);
  if (response == nullptr) return MHD_NO;
  MHD_add_response_header(response, "Content-Type", from.content_type.c_str());
  for (const auto& [name, value] : from.headers) {
    MHD_add_response_header(response, name.c_str(), value.c_str());
  }
  const MHD_Result result = MHD_queue_response(
      connection, static_cast<unsigned>(from.status), response);
  MHD_destroy_response(response);
  return result;
}

int SocketOf(MHD_Connection* connection) {
  return MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)
      ->connect_fd;
}

HttpResponse ClosingError(int status, absl::string_view message) {
  return {.status = status,
          .body = absl::StrCat("{\"error\":\"", message, "\"}"),
          .headers = {{"Connection", "close"}}};
}

HttpResponse ShuttingDown() {
  return ClosingError(kUnavailable, "the server is shutting down");
}

HttpResponse TooLarge(int64_t most, absl::string_view found) {
  return ClosingError(kTooLarge, absl::StrCat("expected a body of at most ",
                                              most, " bytes, found ", found));
}

HttpResponse TooManyBytes(int64_t most) {
  HttpResponse response = ClosingError(
      kTooManyRequests,
      absl::StrCat("more than ", most, " bytes of bodies are on their way"));
  response.headers.emplace_back("Retry-After", "1");
  return response;
}

void Observe(const std::function<void(absl::string_view)>& observer,
             absl::string_view reason) {
  if (observer != nullptr) observer(reason);
}

}  // namespace

// One request and its response; the library's, from the first line of the
// request until the response is sent.
struct HttpServer::Exchange {
  HttpRequest request;
  // What answers the request once it has come in full; its body is not kept.
  std::optional<HttpResponse> refusal;
  bool handed_over = false;

  std::mutex mutex;
  std::optional<HttpResponse> response ABSL_GUARDED_BY(mutex);
  bool suspended ABSL_GUARDED_BY(mutex) = false;
};

struct HttpServer::Library {
  // What the library calls: for the first line of a request, for each piece of
  // its body, at its end, and once a suspended connection is resumed.
  static MHD_Result Access(void* server, MHD_Connection* connection,
                           const char* url, const char* method, const char*,
                           const char* data, size_t* data_size,
                           void** exchange);
  static void Completed(void* server, MHD_Connection* connection,
                        void** exchange, MHD_RequestTerminationCode);
  // A connection has been opened, or is about to be closed.
  static void Connection(void* server, MHD_Connection* connection, void**,
                         MHD_ConnectionNotificationCode what);

  MHD_Result Begin(MHD_Connection* connection, const char* url,
                   const char* method, void** exchange);
  // The same for what comes after the first line.
  MHD_Result Continue(MHD_Connection* connection, const char* data,
                      size_t* data_size, Exchange& current);
  // Keeps a piece of a body, or refuses the request.
  void Receive(Exchange& exchange, absl::string_view piece);
  // False: the server is draining.
  bool HandOver(Exchange& exchange, MHD_Connection* connection);
  // What the handler responded.
  MHD_Result SendResponse(Exchange& exchange, MHD_Connection* connection)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(exchange.mutex);
  MHD_Result SendShuttingDown(MHD_Connection* connection) {
    Observe(server.observer_.refused, "shutting_down");
    return Send(connection, ShuttingDown());
  }

  HttpServer& server;
  MHD_Daemon* daemon = nullptr;
};

MHD_Result HttpServer::Library::Access(void* server, MHD_Connection* connection,
                                       const char* url, const char* method,
                                       const char*, const char* data,
                                       size_t* data_size, void** exchange) {
  Library& library = *static_cast<HttpServer*>(server)->library_;
  // The library is C. It closes a connection that is answered with MHD_NO.
  try {
    if (*exchange == nullptr) {
      return library.Begin(connection, url, method, exchange);
    }
    return library.Continue(connection, data, data_size,
                            *static_cast<Exchange*>(*exchange));
  } catch (const std::exception& error) {
    Log(LogLevel::kError, "a connection is closed",
        {{"error", std::string(error.what())}});
    return MHD_NO;
  }
}

MHD_Result HttpServer::Library::Continue(MHD_Connection* connection,
                                         const char* data, size_t* data_size,
                                         Exchange& current) {
  if (*data_size > 0) {
    Receive(current, {data, *data_size});
    *data_size = 0;
    return MHD_YES;
  }
  if (current.refusal.has_value()) return Send(connection, *current.refusal);
  if (!current.handed_over && !HandOver(current, connection)) {
    return SendShuttingDown(connection);
  }
  std::lock_guard lock(current.mutex);
  if (current.response.has_value()) return SendResponse(current, connection);
  current.suspended = true;
  MHD_suspend_connection(connection);
  return MHD_YES;
}

MHD_Result HttpServer::Library::Begin(MHD_Connection* connection,
                                      const char* url, const char* method,
                                      void** exchange) {
  bool draining = false;
  {
    std::lock_guard lock(server.mutex_);
    draining = server.draining_;
  }
  auto* begun = new Exchange;
  *exchange = begun;
  begun->request.method = method;
  begun->request.path = url;
  MHD_get_connection_values(connection, MHD_HEADER_KIND, &AddHeader,
                            &begun->request.headers);
  if (draining) return SendShuttingDown(connection);
  if (server.check_ != nullptr) {
    const auto refusal = server.check_(begun->request);
    if (refusal.has_value()) return Send(connection, *refusal);
  }
  const auto length = begun->request.headers.find("content-length");
  int64_t bytes = 0;
  if (length != begun->request.headers.end() &&
      absl::SimpleAtoi(length->second, &bytes) &&
      bytes > server.options_.max_body_bytes) {
    Observe(server.observer_.refused, "invalid");
    return Send(connection,
                TooLarge(server.options_.max_body_bytes, absl::StrCat(bytes)));
  }
  return MHD_YES;
}

// A refused request is read to its end: until then the library takes no
// response.
void HttpServer::Library::Receive(Exchange& exchange, absl::string_view piece) {
  HttpRequest& request = exchange.request;
  if (exchange.refusal.has_value() || request.method != "POST") return;
  const Options& options = server.options_;
  request.body.append(piece.data(), piece.size());
  const auto bytes = static_cast<int64_t>(request.body.size());
  const int64_t incoming = server.incoming_bytes_ +=
      static_cast<int64_t>(piece.size());
  if (bytes > options.max_body_bytes) {
    Observe(server.observer_.refused, "invalid");
    exchange.refusal = TooLarge(options.max_body_bytes, "more");
  } else if (incoming > options.max_incoming_bytes) {
    Observe(server.observer_.refused, "incoming_full");
    exchange.refusal = TooManyBytes(options.max_incoming_bytes);
  } else {
    return;
  }
  server.incoming_bytes_ -= bytes;
  std::string().swap(request.body);  // clear() would keep its memory
}

bool HttpServer::Library::HandOver(Exchange& exchange,
                                   MHD_Connection* connection) {
  {
    std::lock_guard lock(server.mutex_);
    if (server.draining_) return false;
    ++server.accepted_;
    server.waiting_since_.erase(SocketOf(connection));
  }
  exchange.handed_over = true;
  server.incoming_bytes_ -= static_cast<int64_t>(exchange.request.body.size());
  server.handler_(std::move(exchange.request),
                  [&exchange, connection](HttpResponse response) {
                    std::lock_guard lock(exchange.mutex);
                    exchange.response = std::move(response);
                    if (exchange.suspended) MHD_resume_connection(connection);
                  });
  return true;
}

MHD_Result HttpServer::Library::SendResponse(Exchange& exchange,
                                             MHD_Connection* connection) {
  const HttpResponse response = *std::move(exchange.response);
  server.AddOutgoing(SocketOf(connection),
                     static_cast<int64_t>(response.body.size()));
  return Send(connection, response);
}

void HttpServer::Library::Completed(void* server, MHD_Connection* connection,
                                    void** exchange,
                                    MHD_RequestTerminationCode) {
  if (*exchange == nullptr) return;
  const std::unique_ptr<Exchange> ended(static_cast<Exchange*>(*exchange));
  {
    // The responder may still be about to release it.
    std::lock_guard lock(ended->mutex);
  }
  *exchange = nullptr;
  HttpServer& self = *static_cast<HttpServer*>(server);
  if (!ended->handed_over) {
    self.incoming_bytes_ -= static_cast<int64_t>(ended->request.body.size());
  }
  std::lock_guard lock(self.mutex_);
  self.waiting_since_[SocketOf(connection)] = MonotonicClock().Now();
  self.ForgetOutgoing(SocketOf(connection));
  if (ended->handed_over && --self.accepted_ == 0) self.none_.notify_all();
}

void HttpServer::Library::Connection(void* server, MHD_Connection* connection,
                                     void**,
                                     MHD_ConnectionNotificationCode what) {
  HttpServer& self = *static_cast<HttpServer*>(server);
  std::lock_guard lock(self.mutex_);
  if (what == MHD_CONNECTION_NOTIFY_STARTED) {
    ++self.connections_;
    self.waiting_since_[SocketOf(connection)] = MonotonicClock().Now();
    self.MakeRoom();
  } else {
    --self.connections_;
    self.waiting_since_.erase(SocketOf(connection));
  }
}

void HttpServer::MakeRoom() {
  if (connections_ <= options_.max_connections) return;
  const auto longest = std::min_element(
      waiting_since_.begin(), waiting_since_.end(),
      [](const auto& a, const auto& b) { return a.second < b.second; });
  if (longest == waiting_since_.end()) return;
  Observe(observer_.closed, "too_many");
  shutdown(longest->first, SHUT_RDWR);
  waiting_since_.erase(longest);
}

void HttpServer::AddOutgoing(int connection, int64_t bytes) {
  std::lock_guard lock(mutex_);
  outgoing_[connection] = {MonotonicClock().Now(), bytes};
  outgoing_bytes_ += bytes;
  while (outgoing_bytes_ > options_.max_outgoing_bytes &&
         outgoing_.size() > 1) {
    const auto longest = std::min_element(
        outgoing_.begin(), outgoing_.end(), [](const auto& a, const auto& b) {
          return a.second.since < b.second.since;
        });
    Observe(observer_.closed, "slow_response");
    shutdown(longest->first, SHUT_RDWR);
    ForgetOutgoing(longest->first);
  }
}

void HttpServer::ForgetOutgoing(int connection) {
  const auto found = outgoing_.find(connection);
  if (found == outgoing_.end()) return;
  outgoing_bytes_ -= found->second.bytes;
  outgoing_.erase(found);
}

void HttpServer::Sweep() {
  std::unique_lock lock(mutex_);
  while (!stop_.wait_for(
      lock, absl::ToChronoNanoseconds(options_.request_timeout / 10),
      [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return stopping_; })) {
    const absl::Time since = MonotonicClock().Now() - options_.request_timeout;
    for (auto it = waiting_since_.begin(); it != waiting_since_.end();) {
      const auto [connection, waiting_since] = *it++;
      if (waiting_since >= since) continue;
      Observe(observer_.closed, "no_request");
      // The library sees its end and closes it.
      shutdown(connection, SHUT_RDWR);
      waiting_since_.erase(connection);
    }
  }
}

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Listen(
    const Options& options, Handler handler, Check check,
    HttpObserver observer) {
  auto server = std::unique_ptr<HttpServer>(new HttpServer(
      options, std::move(handler), std::move(check), std::move(observer)));
  if (absl::Status status = server->Start(); !status.ok()) return status;
  return server;
}

HttpServer::HttpServer(const Options& options, Handler handler, Check check,
                       HttpObserver observer)
    : options_(options),
      handler_(std::move(handler)),
      check_(std::move(check)),
      observer_(std::move(observer)) {}

absl::Status HttpServer::Start() {
  library_ = std::make_unique<Library>(Library{.server = *this});
  const AddressInfo address(options_.address);
  if (address.first != nullptr) {
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME;
    if (address.first->ai_family == AF_INET6) flags |= MHD_USE_IPv6;
    library_->daemon = MHD_start_daemon(
        flags, 0, nullptr, nullptr, &Library::Access, this,
        MHD_OPTION_SOCK_ADDR, address.first->ai_addr,
        MHD_OPTION_NOTIFY_COMPLETED, &Library::Completed, this,
        MHD_OPTION_NOTIFY_CONNECTION, &Library::Connection, this,
        MHD_OPTION_THREAD_POOL_SIZE, kThreads, MHD_OPTION_CONNECTION_LIMIT,
        static_cast<unsigned>(kRoom * options_.max_connections),
        MHD_OPTION_CONNECTION_TIMEOUT,
        static_cast<unsigned>(absl::ToInt64Seconds(options_.idle_timeout)),
        MHD_OPTION_END);
  }
  if (library_->daemon == nullptr) {
    return absl::UnavailableError(
        absl::StrCat("--http-listen: expected a free address, found '",
                     options_.address, "'"));
  }
  port_ =
      MHD_get_daemon_info(library_->daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
  sweeper_ = std::thread([this] { Sweep(); });
  return absl::OkStatus();
}

HttpServer::~HttpServer() {
  if (library_->daemon == nullptr) return;
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stop_.notify_all();
  sweeper_.join();
  Drain(absl::Now());
  MHD_stop_daemon(library_->daemon);
}

bool HttpServer::Drain(absl::Time give_up) {
  std::unique_lock lock(mutex_);
  if (!draining_) {
    draining_ = true;
    const MHD_socket listening = MHD_quiesce_daemon(library_->daemon);
    if (listening != MHD_INVALID_SOCKET) close(listening);
  }
  return none_.wait_until(lock, absl::ToChronoTime(give_up),
                          [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
                            return accepted_ == 0;
                          });
}

}  // namespace tern

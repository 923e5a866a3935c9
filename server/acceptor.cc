#include "server/acceptor.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <optional>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "flags/effective_cores.h"
#include "server/clock.h"

namespace tern {
namespace {

constexpr int kBacklog = 4096;
// Files for models, certificates, scrapers and HTTP.
constexpr rlim_t kReservedFiles = 64;
// Until accept() is tried again after it failed.
constexpr int kPauseMilliseconds = 100;
// Taken of each core, at most: opening and closing one costs gRPC 0.7 ms, so a
// flood of connections gets a seventh of the server.
constexpr int kConnectionsPerSecond = 200;

constexpr int kOn = 1;

// From this number on, files are for others. A new file has the lowest number
// that is free.
int FirstReservedFile() {
  rlimit limit = {};
  getrlimit(RLIMIT_NOFILE, &limit);
  return static_cast<int>(limit.rlim_cur -
                          std::min(kReservedFiles, limit.rlim_cur / 4));
}

void SetPort(sockaddr& address, int port) {
  const in_port_t network_port = htons(static_cast<uint16_t>(port));
  if (address.sa_family == AF_INET6) {
    reinterpret_cast<sockaddr_in6&>(address).sin6_port = network_port;
  } else {
    reinterpret_cast<sockaddr_in&>(address).sin_port = network_port;
  }
}

int PortOf(int listener) {
  sockaddr_storage address = {};
  socklen_t size = sizeof address;
  getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.ss_family == AF_INET6
                   ? reinterpret_cast<sockaddr_in6&>(address).sin6_port
                   : reinterpret_cast<sockaddr_in&>(address).sin_port);
}

// A socket that listens; -1 where it cannot, and errno says why.
int ListeningSocket(const addrinfo& info) {
  const int listener =
      socket(info.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (listener < 0) return -1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &kOn, sizeof kOn);
  if (bind(listener, info.ai_addr, info.ai_addrlen) == 0 &&
      listen(listener, kBacklog) == 0) {
    return listener;
  }
  const int error = errno;
  close(listener);
  errno = error;
  return -1;
}

bool HasGone(int connection) {
  pollfd peer = {.fd = connection, .events = POLLRDHUP, .revents = 0};
  return poll(&peer, 1, /*timeout=*/0) > 0;
}

absl::Status CannotListenError(absl::string_view address,
                               absl::string_view reason) {
  return absl::UnavailableError(
      absl::StrCat("expected a free address, found '", address, "': ", reason));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Acceptor>> Acceptor::Listen(
    const std::string& address) {
  std::unique_ptr<Acceptor> acceptor(new Acceptor());
  if (absl::Status status = acceptor->ListenAt(address); !status.ok()) {
    return status;
  }
  return acceptor;
}

absl::Status Acceptor::ListenAt(const std::string& address) {
  stop_event_ = eventfd(0, EFD_CLOEXEC);
  const size_t colon = address.rfind(':');
  absl::string_view host = absl::string_view(address).substr(0, colon);
  if (absl::ConsumePrefix(&host, "[")) absl::ConsumeSuffix(&host, "]");
  addrinfo hints = {};
  hints.ai_flags = AI_PASSIVE;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int unresolved =
      getaddrinfo(std::string(host).c_str(), address.substr(colon + 1).c_str(),
                  &hints, &found);
  if (unresolved != 0) {
    return CannotListenError(address, gai_strerror(unresolved));
  }
  // A name may stand for several addresses, which get one port. Some may be of
  // a family that this machine lacks, as ::1 of localhost often is.
  int error = 0;
  for (const addrinfo* info = found; error != EADDRINUSE && info != nullptr;
       info = info->ai_next) {
    if (port_ != 0) SetPort(*info->ai_addr, port_);
    const int listener = ListeningSocket(*info);
    if (listener < 0) {
      error = errno;
      continue;
    }
    listeners_.push_back(listener);
    port_ = PortOf(listener);
  }
  freeaddrinfo(found);
  if (error != EADDRINUSE && !listeners_.empty()) return absl::OkStatus();
  return CannotListenError(address, std::generic_category().message(error));
}

Acceptor::~Acceptor() {
  Stop();
  close(stop_event_);
}

void Acceptor::Start(std::function<void(int connection)> take,
                     std::function<void()> refused) {
  take_ = std::move(take);
  refused_ = std::move(refused);
  interval_ = absl::Seconds(1) / (kConnectionsPerSecond * EffectiveCores());
  thread_ = std::thread([this] { Run(); });
}

void Acceptor::Stop() {
  eventfd_write(stop_event_, 1);
  if (thread_.joinable()) thread_.join();
  for (const int listener : std::exchange(listeners_, {})) close(listener);
  while (const std::optional<int> connection = queue_.Pop()) close(*connection);
}

void Acceptor::Run() {
  std::vector<pollfd> waited = {
      {.fd = stop_event_, .events = POLLIN, .revents = 0}};
  for (const int listener : listeners_) {
    waited.push_back({.fd = listener, .events = POLLIN, .revents = 0});
  }
  const MonotonicClock clock;
  absl::Time next = clock.Now();  // when one may be taken
  while (true) {
    const timespec patience =
        absl::ToTimespec(std::max(absl::ZeroDuration(), next - clock.Now()));
    ppoll(waited.data(), waited.size(), queue_.empty() ? nullptr : &patience,
          /*sigmask=*/nullptr);
    if (waited[0].revents != 0) return;
    for (size_t i = 1; i < waited.size(); ++i) {
      if (waited[i].revents != 0) Accept(waited[i].fd);
    }
    if (queue_.empty() || clock.Now() < next) continue;
    const int connection = *queue_.Pop();
    if (HasGone(connection)) {
      close(connection);
      continue;
    }
    next = clock.Now() + interval_;
    take_(connection);
  }
}

void Acceptor::Accept(int listener) {
  sockaddr_storage peer = {};
  socklen_t size = sizeof peer;
  const int connection = accept4(listener, reinterpret_cast<sockaddr*>(&peer),
                                 &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (connection < 0) {
    // Clients that have gone are no reason to wait; a lack of files or memory
    // is, or this would spin.
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
        errno == ENOMEM) {
      pollfd stop = {.fd = stop_event_, .events = POLLIN, .revents = 0};
      poll(&stop, 1, kPauseMilliseconds);
    }
    return;
  }
  if (connection >= FirstReservedFile()) {
    close(connection);
    refused_();
    return;
  }
  setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &kOn, sizeof kOn);
  queue_.Push(SourceOf(peer), connection);
}

}  // namespace tern

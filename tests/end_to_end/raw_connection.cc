#include "tests/end_to_end/raw_connection.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace tern {
namespace {

constexpr timeval kSendTimeout = {.tv_sec = 10, .tv_usec = 0};

constexpr in_addr_t kOtherLoopback = INADDR_LOOPBACK + 1;

// HPACK's static table (RFC 7541, appendix A).
constexpr absl::string_view kMethodPost("\x83", 1);
constexpr absl::string_view kSchemeHttp("\x86", 1);

std::string BigEndian(uint32_t value, int bytes) {
  std::string text;
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) {
    text.push_back(static_cast<char>(value >> shift));
  }
  return text;
}

// A string literal of HPACK without Huffman's code.
std::string HpackString(absl::string_view text) {
  constexpr size_t kPrefixMax = 127;
  if (text.size() < kPrefixMax) {
    return absl::StrCat(BigEndian(static_cast<uint32_t>(text.size()), 1), text);
  }
  std::string length(1, static_cast<char>(kPrefixMax));
  size_t rest = text.size() - kPrefixMax;
  for (; rest >= 128; rest >>= 7) {
    length.push_back(static_cast<char>((rest & 127) | 128));
  }
  length.push_back(static_cast<char>(rest));
  return absl::StrCat(length, text);
}

}  // namespace

absl::StatusOr<RawConnection> RawConnection::Open(const std::string& target) {
  const std::pair<std::string, std::string> parts = absl::StrSplit(target, ':');
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  int port = 0;
  if (!absl::SimpleAtoi(parts.second, &port) ||
      inet_pton(AF_INET, parts.first.c_str(), &address.sin_addr) != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected ADDRESS:PORT, found '", target, "'"));
  }
  address.sin_port = htons(static_cast<uint16_t>(port));
  RawConnection connection(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  setsockopt(connection.socket_, SOL_SOCKET, SO_SNDTIMEO, &kSendTimeout,
             sizeof kSendTimeout);
  if (absl::StartsWith(parts.first, "127.")) {
    sockaddr_in source = {};
    source.sin_family = AF_INET;
    source.sin_addr.s_addr = htonl(kOtherLoopback);
    bind(connection.socket_, reinterpret_cast<sockaddr*>(&source),
         sizeof source);
  }
  if (connect(connection.socket_, reinterpret_cast<sockaddr*>(&address),
              sizeof address) != 0) {
    return absl::UnavailableError(absl::StrCat("no connection to ", target));
  }
  return connection;
}

RawConnection::~RawConnection() {
  if (socket_ >= 0) close(socket_);
}

bool RawConnection::Send(absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent =
        send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

std::string RawConnection::Receive(absl::Duration patience) {
  pollfd readable = {.fd = socket_, .events = POLLIN, .revents = 0};
  if (poll(&readable, 1,
           static_cast<int>(absl::ToInt64Milliseconds(patience))) != 1) {
    return "";
  }
  std::string bytes(1 << 14, '\0');
  const ssize_t got = recv(socket_, bytes.data(), bytes.size(), 0);
  closed_ = got <= 0;
  bytes.resize(closed_ ? 0 : static_cast<size_t>(got));
  return bytes;
}

void RawConnection::Reset() {
  const linger none = {.l_onoff = 1, .l_linger = 0};
  setsockopt(socket_, SOL_SOCKET, SO_LINGER, &none, sizeof none);
  close(std::exchange(socket_, -1));
}

std::string Http2Frame(Http2Type type, uint8_t flags, uint32_t stream,
                       absl::string_view payload) {
  return absl::StrCat(BigEndian(static_cast<uint32_t>(payload.size()), 3),
                      BigEndian(static_cast<uint8_t>(type), 1),
                      BigEndian(flags, 1), BigEndian(stream, 4), payload);
}

std::string Http2Hello(uint32_t window) {
  constexpr uint32_t kInitialWindowSize = 4;
  return absl::StrCat("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                      Http2Frame(Http2Type::kSettings, 0, 0,
                                 absl::StrCat(BigEndian(kInitialWindowSize, 2),
                                              BigEndian(window, 4))));
}

std::string CallHeaders(absl::string_view path) {
  return absl::StrCat(kMethodPost, kSchemeHttp, HeaderField(":path", path),
                      HeaderField(":authority", "localhost"),
                      HeaderField("te", "trailers"),
                      HeaderField("content-type", "application/grpc"));
}

std::string HeaderField(absl::string_view name, absl::string_view value) {
  constexpr absl::string_view kLiteralNotIndexed("\0", 1);
  return absl::StrCat(kLiteralNotIndexed, HpackString(name),
                      HpackString(value));
}

std::string MessagePrefix(uint32_t bytes) {
  return absl::StrCat(BigEndian(0, 1), BigEndian(bytes, 4));
}

}  // namespace tern

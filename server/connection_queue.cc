#include "server/connection_queue.h"

#include <netinet/in.h>

#include <utility>

namespace tern {
namespace {

constexpr size_t kIpv4Bytes = 4;
constexpr size_t kIpv6PrefixBytes = 8;

std::string Bytes(const void* data, size_t size) {
  return std::string(static_cast<const char*>(data), size);
}

}  // namespace

std::string SourceOf(const sockaddr_storage& peer) {
  if (peer.ss_family != AF_INET6) {
    const auto& address = reinterpret_cast<const sockaddr_in&>(peer).sin_addr;
    return Bytes(&address, kIpv4Bytes);
  }
  const auto& address = reinterpret_cast<const sockaddr_in6&>(peer).sin6_addr;
  if (IN6_IS_ADDR_V4MAPPED(&address)) {
    return Bytes(address.s6_addr + sizeof address - kIpv4Bytes, kIpv4Bytes);
  }
  return Bytes(&address, kIpv6PrefixBytes);
}

void ConnectionQueue::Push(const std::string& source, int connection) {
  std::deque<int>& own = waiting_[source];
  if (own.empty()) turns_.push_back(source);
  own.push_back(connection);
}

std::optional<int> ConnectionQueue::Pop() {
  if (turns_.empty()) return std::nullopt;
  std::string source = std::move(turns_.front());
  turns_.pop_front();
  const auto found = waiting_.find(source);
  const int connection = found->second.front();
  found->second.pop_front();
  if (found->second.empty()) {
    waiting_.erase(found);
  } else {
    turns_.push_back(std::move(source));
  }
  return connection;
}

}  // namespace tern

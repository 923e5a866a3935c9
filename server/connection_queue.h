// Connections that were accepted and wait to be served, a turn for each address
// they come from: a machine that opens thousands delays its own, not those of
// others.
//
// Thread-compatible.

#ifndef TERN_SERVER_CONNECTION_QUEUE_H_
#define TERN_SERVER_CONNECTION_QUEUE_H_

#include <sys/socket.h>

#include <deque>
#include <map>
#include <optional>
#include <string>

namespace tern {

// Whom a peer's address stands for, as bytes: an IPv4 address, or the first 64
// bits of an IPv6 one, since a machine usually has all the others of that
// prefix.
std::string SourceOf(const sockaddr_storage& peer);

class ConnectionQueue {
 public:
  void Push(const std::string& source, int connection);
  // The next one: the oldest of the source whose turn it is. None: empty.
  std::optional<int> Pop();
  bool empty() const { return turns_.empty(); }

 private:
  std::map<std::string, std::deque<int>> waiting_;  // no empty ones
  std::deque<std::string> turns_;  // the sources in waiting_, next one first
};

}  // namespace tern

#endif  // TERN_SERVER_CONNECTION_QUEUE_H_

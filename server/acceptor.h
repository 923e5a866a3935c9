// Takes connections for a port of gRPC.
//
// gRPC 1.51 can listen by itself, but stops for good at the first accept() that
// fails because no more files may be opened: enough idle connections, and no
// client reaches the server any more. This one waits and goes on, and keeps
// some files free for the rest of the server: connections past that are closed
// at once. And it hands them on at a bounded rate, since opening one costs as
// much as a short text: whoever opens thousands slows nobody down who has one,
// and delays nobody who comes from elsewhere (ConnectionQueue).
//
// Thread-compatible.

#ifndef TERN_SERVER_ACCEPTOR_H_
#define TERN_SERVER_ACCEPTOR_H_

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/connection_queue.h"

namespace tern {

class Acceptor {
 public:
  // Listens on `address`, a host and port (0: any free one); clients are taken
  // once it is started.
  // Errors: UNAVAILABLE where it cannot listen there.
  static absl::StatusOr<std::unique_ptr<Acceptor>> Listen(
      const std::string& address);
  ~Acceptor();  // Stop()
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  int port() const { return port_; }

  // Starts the thread that calls `take` with the file of each connection, which
  // is `take`'s from then on, and `refused` for each one that it closed.
  void Start(std::function<void(int connection)> take,
             std::function<void()> refused);
  // Listens no more.
  void Stop();

 private:
  Acceptor() = default;
  absl::Status ListenAt(const std::string& address);
  void Run();
  void Accept(int listener);

  int port_ = 0;
  std::vector<int> listeners_;
  ConnectionQueue queue_;    // the thread's, while it runs
  int stop_event_ = -1;      // readable when it is time to stop
  absl::Duration interval_;  // between connections that are handed over
  std::function<void(int)> take_;
  std::function<void()> refused_;
  std::thread thread_;
};

}  // namespace tern

#endif  // TERN_SERVER_ACCEPTOR_H_

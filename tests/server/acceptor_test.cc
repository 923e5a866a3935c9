#include "server/acceptor.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace tern {
namespace {

// A connection to that port of 127.0.0.1; -1 where nobody listens.
int Connect(int port, in_addr_t from = INADDR_LOOPBACK) {
  const int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(from);
  bind(connection, reinterpret_cast<sockaddr*>(&address), sizeof address);
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(connection, reinterpret_cast<sockaddr*>(&address),
              sizeof address) == 0) {
    return connection;
  }
  close(connection);
  return -1;
}

in_addr_t PeerOf(int connection) {
  sockaddr_in peer = {};
  socklen_t size = sizeof peer;
  getpeername(connection, reinterpret_cast<sockaddr*>(&peer), &size);
  return ntohl(peer.sin_addr.s_addr);
}

void Await(const std::atomic<int>& count, int least) {
  const absl::Time give_up = absl::Now() + absl::Seconds(60);
  while (count < least && absl::Now() < give_up) {
    absl::SleepFor(absl::Milliseconds(1));
  }
  ASSERT_GE(count, least);
}

TEST(AcceptorTest, HandsConnectionsOverUntilItIsStopped) {
  auto acceptor = Acceptor::Listen("127.0.0.1:0");
  ASSERT_TRUE(acceptor.ok()) << acceptor.status();
  std::atomic<int> taken = 0;
  (*acceptor)->Start(
      [&](int connection) {
        close(connection);
        ++taken;
      },
      [] {});

  std::vector<int> clients;
  for (int i = 0; i < 3; ++i) clients.push_back(Connect((*acceptor)->port()));
  Await(taken, 3);
  for (const int client : clients) close(client);
  (*acceptor)->Stop();

  EXPECT_EQ(Connect((*acceptor)->port()), -1);
}

TEST(AcceptorTest, AFloodOfConnectionsDelaysNoneFromElsewhere) {
  auto acceptor = Acceptor::Listen("127.0.0.1:0");
  ASSERT_TRUE(acceptor.ok());
  std::atomic<int> taken = 0, other_came_after = 0;
  (*acceptor)->Start(
      [&](int connection) {
        ++taken;
        if (PeerOf(connection) == INADDR_LOOPBACK) {
          other_came_after = taken.load();
        }
        close(connection);
      },
      [] {});
  constexpr int kFlood = 300;
  std::vector<int> flood;
  for (int i = 0; i < kFlood; ++i) {
    flood.push_back(Connect((*acceptor)->port(), INADDR_LOOPBACK + 1));
  }

  const int other = Connect((*acceptor)->port());
  Await(taken, kFlood + 1);

  EXPECT_LT(other_came_after, kFlood);
  close(other);
  for (const int connection : flood) close(connection);
}

TEST(AcceptorTest, ConnectionsWhoseClientHasGoneAreNotHandedOver) {
  auto acceptor = Acceptor::Listen("127.0.0.1:0");
  ASSERT_TRUE(acceptor.ok());
  std::atomic<int> taken = 0, stayed = 0;
  (*acceptor)->Start(
      [&](int connection) {
        ++taken;
        char byte = 0;
        if (recv(connection, &byte, 1, MSG_DONTWAIT) == 1) ++stayed;
        close(connection);
      },
      [] {});
  constexpr int kGone = 200;
  for (int i = 0; i < kGone; ++i) close(Connect((*acceptor)->port()));

  const int client = Connect((*acceptor)->port());
  ASSERT_EQ(write(client, "x", 1), 1);
  Await(stayed, 1);

  EXPECT_LT(taken, kGone);
  close(client);
}

TEST(AcceptorTest, APortThatIsTakenIsNamed) {
  const auto first = Acceptor::Listen("127.0.0.1:0");
  ASSERT_TRUE(first.ok());
  const std::string address = "127.0.0.1:" + std::to_string((*first)->port());

  const auto second = Acceptor::Listen(address);

  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(second.status().message(), "expected a free address, found '" +
                                           address +
                                           "': Address already in use");
}

TEST(AcceptorTest, AnAddressOfAnotherMachineIsNamed) {
  // RFC 5737: in documents only.
  const auto acceptor = Acceptor::Listen("192.0.2.1:0");

  EXPECT_EQ(acceptor.status().message(),
            "expected a free address, found '192.0.2.1:0': Cannot assign "
            "requested address");
}

// gRPC's own listener is deaf for ever after that.
TEST(AcceptorTest, RefusesConnectionsPastTheFileLimitAndTakesThemAgainLater) {
  auto acceptor = Acceptor::Listen("127.0.0.1:0");
  ASSERT_TRUE(acceptor.ok());
  rlimit before = {};
  getrlimit(RLIMIT_NOFILE, &before);
  std::atomic<int> taken = 0, refused = 0;
  (*acceptor)->Start(
      [&](int connection) {
        close(connection);
        ++taken;
      },
      [&] { ++refused; });
  // Its thread runs before files are short, where UBSan, which opens a pipe to
  // look at a class it has not yet seen, would take a clock for none.
  const int first = Connect((*acceptor)->port());
  Await(taken, 1);
  close(first);
  // Enough for the client's end and the server's, whose number is reserved.
  const int lowest = dup(0);
  close(lowest);
  rlimit low = before;
  low.rlim_cur = static_cast<rlim_t>(lowest) + 2;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);

  const int connection = Connect((*acceptor)->port());
  Await(refused, 1);
  EXPECT_EQ(taken, 1);
  close(connection);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);

  const int later = Connect((*acceptor)->port());
  Await(taken, 2);
  close(later);
}

}  // namespace
}  // namespace tern

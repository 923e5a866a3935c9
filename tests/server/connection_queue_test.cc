#include "server/connection_queue.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include <vector>

namespace tern {
namespace {

using ::testing::ElementsAre;

std::vector<int> PopAll(ConnectionQueue& queue) {
  std::vector<int> popped;
  while (const auto connection = queue.Pop()) popped.push_back(*connection);
  return popped;
}

sockaddr_storage Ipv6(const char* text) {
  sockaddr_storage storage = {};
  auto& address = reinterpret_cast<sockaddr_in6&>(storage);
  address.sin6_family = AF_INET6;
  EXPECT_EQ(inet_pton(AF_INET6, text, &address.sin6_addr), 1);
  return storage;
}

sockaddr_storage Ipv4(const char* text) {
  sockaddr_storage storage = {};
  auto& address = reinterpret_cast<sockaddr_in&>(storage);
  address.sin_family = AF_INET;
  EXPECT_EQ(inet_pton(AF_INET, text, &address.sin_addr), 1);
  return storage;
}

TEST(ConnectionQueueTest, SourcesTakeTurnsAndEachIsFirstInFirstOut) {
  ConnectionQueue queue;
  for (const int connection : {1, 2, 3, 4}) queue.Push("flood", connection);
  queue.Push("other", 5);
  queue.Push("third", 6);

  EXPECT_FALSE(queue.empty());
  EXPECT_THAT(PopAll(queue), ElementsAre(1, 5, 6, 2, 3, 4));
  EXPECT_TRUE(queue.empty());
}

TEST(ConnectionQueueTest, ASourceThatComesAgainTakesItsTurnAgain) {
  ConnectionQueue queue;
  queue.Push("a", 1);
  EXPECT_THAT(PopAll(queue), ElementsAre(1));

  queue.Push("b", 2);
  queue.Push("a", 3);

  EXPECT_THAT(PopAll(queue), ElementsAre(2, 3));
}

TEST(SourceOfTest, Is64BitsOfIpv6AndAllOfIpv4) {
  EXPECT_EQ(SourceOf(Ipv6("2001:db8::1")), SourceOf(Ipv6("2001:db8::ffff:2")));
  EXPECT_NE(SourceOf(Ipv6("2001:db8::1")), SourceOf(Ipv6("2001:db8:0:1::1")));
  EXPECT_NE(SourceOf(Ipv4("192.0.2.1")), SourceOf(Ipv4("192.0.2.2")));
  EXPECT_EQ(SourceOf(Ipv4("192.0.2.1")), SourceOf(Ipv6("::ffff:192.0.2.1")));
}

}  // namespace
}  // namespace tern

#include "server/http_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/end_to_end/raw_connection.h"

namespace tern {
namespace {

using ::testing::StartsWith;

constexpr char kGet[] = "GET / HTTP/1.1\r\nHost: localhost\r\n";

TEST(HttpServerTest, ARequestThatComesTooSlowlyEndsItsConnection) {
  const auto server = HttpServer::Listen(
      {.address = "127.0.0.1:0", .request_timeout = absl::Milliseconds(500)},
      [](const HttpRequest&, const HttpServer::Respond& respond) {
        absl::SleepFor(absl::Seconds(1));  // our own time is not the client's
        respond({.body = "done"});
      });
  ASSERT_TRUE(server.ok()) << server.status();
  const std::string target = absl::StrCat("127.0.0.1:", (*server)->port());
  auto slow = RawConnection::Open(target);
  ASSERT_TRUE(slow.ok());
  auto prompt = RawConnection::Open(target);
  ASSERT_TRUE(prompt.ok());

  slow->Send(kGet);
  prompt->Send(absl::StrCat(kGet, "\r\n"));
  const absl::Time give_up = absl::Now() + absl::Seconds(60);
  while (!slow->closed() && absl::Now() < give_up) {
    slow->Send("X: x\r\n");
    slow->Receive(absl::Milliseconds(10));
  }

  EXPECT_TRUE(slow->closed());
  EXPECT_THAT(prompt->Receive(absl::Seconds(60)), StartsWith("HTTP/1.1 200"));
}

// Among them those whose client has gone: of data and an end that come together
// the library may see the data only.
TEST(HttpServerTest,
     ClosesTheConnectionThatHasWaitedLongestWhereThereAreTooMany) {
  const auto server = HttpServer::Listen(
      {.address = "127.0.0.1:0", .max_connections = 8},
      [](const HttpRequest&, const HttpServer::Respond& respond) {
        respond({.body = "done"});
      });
  ASSERT_TRUE(server.ok()) << server.status();
  const std::string target = absl::StrCat("127.0.0.1:", (*server)->port());
  std::vector<RawConnection> slow;
  for (int i = 0; i < 100; ++i) {
    auto connection = RawConnection::Open(target);
    ASSERT_TRUE(connection.ok());
    ASSERT_TRUE(connection->Send(kGet));
    slow.push_back(*std::move(connection));
  }

  auto prompt = RawConnection::Open(target);
  ASSERT_TRUE(prompt.ok());
  prompt->Send(absl::StrCat(kGet, "\r\n"));

  EXPECT_THAT(prompt->Receive(absl::Seconds(20)), StartsWith("HTTP/1.1 200"));
  slow.front().Receive(absl::Seconds(20));
  EXPECT_TRUE(slow.front().closed());
}

}  // namespace
}  // namespace tern

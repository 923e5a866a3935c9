#include "server/http_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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

}  // namespace
}  // namespace tern

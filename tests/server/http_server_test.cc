#include "server/http_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <future>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "tests/end_to_end/raw_connection.h"

namespace tern {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

constexpr char kGet[] = "GET / HTTP/1.1\r\nHost: localhost\r\n";

RawConnection Connect(const HttpServer& server) {
  auto connection =
      RawConnection::Open(absl::StrCat("127.0.0.1:", server.port()));
  EXPECT_TRUE(connection.ok()) << connection.status();
  return *std::move(connection);
}

// A POST of which the server has read the head, and that has no body yet.
RawConnection BeginPost(const HttpServer& server, size_t body_bytes) {
  RawConnection connection = Connect(server);
  connection.Send(absl::StrCat(
      "POST / HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
      "Content-Length: ",
      body_bytes, "\r\n\r\n"));
  EXPECT_THAT(connection.Receive(absl::Seconds(60)),
              StartsWith("HTTP/1.1 100"));
  return connection;
}

// Sends `body` until the answer begins with `expected`; returns the last one.
std::string PostUntil(const HttpServer& server, const std::string& body,
                      absl::string_view expected) {
  const absl::Time give_up = absl::Now() + absl::Seconds(60);
  std::string answer;
  while (!absl::StartsWith(answer, expected) && absl::Now() < give_up) {
    RawConnection connection = BeginPost(server, body.size());
    connection.Send(body);
    answer = connection.Receive(absl::Seconds(60));
  }
  return answer;
}

// Reads until more than `enough` bytes have come, or no more do.
size_t ReceivedBytes(RawConnection& connection, size_t enough) {
  size_t received = 0;
  for (size_t bytes = 1; bytes > 0 && received <= enough; received += bytes) {
    bytes = connection.Receive(absl::Seconds(60)).size();
  }
  return received;
}

// What a server's observer is told.
class Reasons {
 public:
  std::function<void(absl::string_view)> Keep() {
    return [this](absl::string_view reason) {
      std::lock_guard lock(mutex_);
      kept_.emplace_back(reason);
    };
  }
  std::vector<std::string> kept() {
    std::lock_guard lock(mutex_);
    return kept_;
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> kept_ ABSL_GUARDED_BY(mutex_);
};

TEST(HttpServerTest, ARequestThatComesTooSlowlyEndsItsConnection) {
  Reasons closed;
  const auto server = HttpServer::Listen(
      {.address = "127.0.0.1:0", .request_timeout = absl::Milliseconds(500)},
      [](const HttpRequest&, const HttpServer::Respond& respond) {
        absl::SleepFor(absl::Seconds(1));  // our own time is not the client's
        respond({.body = "done"});
      },
      nullptr, {.closed = closed.Keep()});
  ASSERT_TRUE(server.ok()) << server.status();
  RawConnection slow = Connect(**server);
  RawConnection prompt = Connect(**server);

  slow.Send(kGet);
  prompt.Send(absl::StrCat(kGet, "\r\n"));
  const absl::Time give_up = absl::Now() + absl::Seconds(60);
  while (!slow.closed() && absl::Now() < give_up) {
    slow.Send("X: x\r\n");
    slow.Receive(absl::Milliseconds(10));
  }

  EXPECT_TRUE(slow.closed());
  // The other connection may have been idle for as long.
  EXPECT_THAT(closed.kept(), AllOf(Each("no_request"), Not(IsEmpty())));
  EXPECT_THAT(prompt.Receive(absl::Seconds(60)), StartsWith("HTTP/1.1 200"));
}

// Among them those whose client has gone: of data and an end that come together
// the library may see the data only.
TEST(HttpServerTest,
     ClosesTheConnectionThatHasWaitedLongestWhereThereAreTooMany) {
  Reasons closed;
  const auto server = HttpServer::Listen(
      {.address = "127.0.0.1:0", .max_connections = 8},
      [](const HttpRequest&, const HttpServer::Respond& respond) {
        respond({.body = "done"});
      },
      nullptr, {.closed = closed.Keep()});
  ASSERT_TRUE(server.ok()) << server.status();
  std::vector<RawConnection> slow;
  for (int i = 0; i < 100; ++i) {
    slow.push_back(Connect(**server));
    ASSERT_TRUE(slow.back().Send(kGet));
  }

  RawConnection prompt = Connect(**server);
  prompt.Send(absl::StrCat(kGet, "\r\n"));

  EXPECT_THAT(prompt.Receive(absl::Seconds(20)), StartsWith("HTTP/1.1 200"));
  slow.front().Receive(absl::Seconds(20));
  EXPECT_TRUE(slow.front().closed());
  EXPECT_THAT(closed.kept(), AllOf(Each("too_many"), Not(IsEmpty())));
}

TEST(HttpServerTest, WhatTheCheckRefusesIsAnsweredBeforeItsBodyComes) {
  const auto server = HttpServer::Listen(
      {.address = "127.0.0.1:0"},
      [](const HttpRequest&, const HttpServer::Respond& respond) {
        respond({});
      },
      [](const HttpRequest&) { return HttpResponse{.status = 401}; });
  ASSERT_TRUE(server.ok()) << server.status();
  auto connection =
      RawConnection::Open(absl::StrCat("127.0.0.1:", (*server)->port()));
  ASSERT_TRUE(connection.ok());

  connection->Send(
      "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8\r\n\r\n");

  EXPECT_THAT(connection->Receive(absl::Seconds(60)),
              StartsWith("HTTP/1.1 401"));
  connection->Receive(absl::Seconds(60));
  EXPECT_TRUE(connection->closed());
}

TEST(HttpServerTest, BodiesOnTheirWayHaveABoundOverAllConnections) {
  const std::string body(1000, 'x');
  const std::string half(600, 'x');
  Reasons refused;
  const auto server = HttpServer::Listen(
      {.address = "127.0.0.1:0", .max_incoming_bytes = 1500},
      [](const HttpRequest&, const HttpServer::Respond& respond) {
        respond({});
      },
      nullptr, {.refused = refused.Keep()});
  ASSERT_TRUE(server.ok()) << server.status();

  RawConnection first = BeginPost(**server, 2 * half.size());
  first.Send(half);
  EXPECT_THAT(PostUntil(**server, body, "HTTP/1.1 429"),
              AllOf(StartsWith("HTTP/1.1 429"), HasSubstr("Retry-After: 1")));
  first.Send(half);
  EXPECT_THAT(first.Receive(absl::Seconds(60)), StartsWith("HTTP/1.1 200"));

  std::optional<RawConnection> gone = BeginPost(**server, 2 * half.size());
  gone->Send(half);
  EXPECT_THAT(PostUntil(**server, body, "HTTP/1.1 429"),
              StartsWith("HTTP/1.1 429"));
  gone.reset();
  EXPECT_THAT(PostUntil(**server, body, "HTTP/1.1 200"),
              StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(refused.kept(), AllOf(Each("incoming_full"), Not(IsEmpty())));
}

TEST(HttpServerTest, ABodyThatSaysThatItIsTooLongIsRefusedBeforeItComes) {
  Reasons refused;
  const auto server = HttpServer::Listen(
      {.address = "127.0.0.1:0", .max_body_bytes = 10},
      [](const HttpRequest&, const HttpServer::Respond& respond) {
        respond({});
      },
      nullptr, {.refused = refused.Keep()});
  ASSERT_TRUE(server.ok()) << server.status();
  RawConnection connection = Connect(**server);

  connection.Send(
      "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 11\r\n\r\n");

  EXPECT_THAT(connection.Receive(absl::Seconds(60)),
              StartsWith("HTTP/1.1 413"));
  EXPECT_THAT(refused.kept(), ElementsAre("invalid"));
}

TEST(HttpServerTest, ResponsesThatNobodyTakesHaveABoundOverAllConnections) {
  // No socket's buffers hold one.
  constexpr size_t kBytes = 16 << 20;
  Reasons closed;
  const auto server = HttpServer::Listen(
      {.address = "127.0.0.1:0", .max_outgoing_bytes = kBytes + 1000},
      [](const HttpRequest&, const HttpServer::Respond& respond) {
        respond({.body = std::string(kBytes, 'x')});
      },
      nullptr, {.closed = closed.Keep()});
  ASSERT_TRUE(server.ok()) << server.status();
  RawConnection slow = Connect(**server);
  RawConnection prompt = Connect(**server);

  slow.Send(absl::StrCat(kGet, "\r\n"));
  size_t slow_bytes = slow.Receive(absl::Seconds(60)).size();
  EXPECT_THAT(closed.kept(), IsEmpty());
  prompt.Send(absl::StrCat(kGet, "\r\n"));
  EXPECT_GT(ReceivedBytes(prompt, kBytes), kBytes);
  slow_bytes += ReceivedBytes(slow, kBytes);

  EXPECT_LT(slow_bytes, kBytes);
  EXPECT_TRUE(slow.closed());
  EXPECT_THAT(closed.kept(), ElementsAre("slow_response"));
}

TEST(HttpServerTest, OnlyAPostsBodyIsKept) {
  const auto server = HttpServer::Listen(
      {.address = "127.0.0.1:0"},
      [](const HttpRequest& request, const HttpServer::Respond& respond) {
        respond({.status = request.body.empty() ? 204 : 200});
      });
  ASSERT_TRUE(server.ok()) << server.status();
  auto get = RawConnection::Open(absl::StrCat("127.0.0.1:", (*server)->port()));
  ASSERT_TRUE(get.ok());
  RawConnection post = BeginPost(**server, 4);

  get->Send(absl::StrCat(kGet, "Content-Length: 4\r\n\r\ntext"));
  post.Send("text");

  EXPECT_THAT(get->Receive(absl::Seconds(60)), StartsWith("HTTP/1.1 204"));
  EXPECT_THAT(post.Receive(absl::Seconds(60)), StartsWith("HTTP/1.1 200"));
}

TEST(HttpServerTest, ADrainAnswersWhatHasComeInFullAndRefusesWhatHasNot) {
  Reasons refused;
  std::promise<HttpServer::Respond> handled;
  const auto server = HttpServer::Listen(
      {.address = "127.0.0.1:0"},
      [&handled](const HttpRequest&, const HttpServer::Respond& respond) {
        handled.set_value(respond);
      },
      nullptr, {.refused = refused.Keep()});
  ASSERT_TRUE(server.ok()) << server.status();
  RawConnection late = BeginPost(**server, 4);
  RawConnection whole = BeginPost(**server, 4);
  whole.Send("text");
  const HttpServer::Respond respond = handled.get_future().get();

  EXPECT_FALSE((*server)->Drain(absl::Now()));
  late.Send("text");
  EXPECT_THAT(late.Receive(absl::Seconds(60)), StartsWith("HTTP/1.1 503"));
  EXPECT_THAT(refused.kept(), ElementsAre("shutting_down"));
  respond({});

  EXPECT_TRUE((*server)->Drain(absl::Now() + absl::Seconds(60)));
  EXPECT_THAT(whole.Receive(absl::Seconds(60)), StartsWith("HTTP/1.1 200"));
}

TEST(HttpServerTest, ADrainDoesNotWaitForHalfARequest) {
  const auto server = HttpServer::Listen(
      {.address = "127.0.0.1:0"},
      [](const HttpRequest&, const HttpServer::Respond& respond) {
        respond({});
      });
  ASSERT_TRUE(server.ok()) << server.status();
  RawConnection half = BeginPost(**server, 4);
  half.Send("te");

  EXPECT_TRUE((*server)->Drain(absl::Now()));
}

}  // namespace
}  // namespace tern

#include "tests/end_to_end/abuse.h"

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <future>
#include <memory>
#include <random>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "tern/v1/inference_service.pb.h"
#include "tests/end_to_end/raw_connection.h"

namespace tern {
namespace {

constexpr char kClassify[] = "/tern.v1.InferenceService/Classify";
constexpr int kStreamsPerConnection = 100;
// Of an attack that uses many streams of each.
constexpr int kConnectionsWithStreams = 200;

// One attack under way: what it may use, and its report.
class Attacker {
 public:
  explicit Attacker(const AbuseOptions& options)
      : options_(options), end_(absl::Now() + options.time) {}

  const AbuseOptions& options() const { return options_; }
  bool over() const { return absl::Now() >= end_; }
  void SleepUntilOver() const { absl::SleepFor(end_ - absl::Now()); }
  AbuseReport& report() { return report_; }

  void CountEnd(const std::string& end, const std::set<std::string>& expected) {
    ++report_.attempts;
    ++report_.ends[end];
    if (expected.count(end) == 0) ++report_.unexpected;
  }

 private:
  const AbuseOptions options_;
  const absl::Time end_;
  AbuseReport report_;
};

// ---- Calls that a library of gRPC makes.

// Calls Classify with any bytes as the message.
class Caller {
 public:
  explicit Caller(const AbuseOptions& options) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
    stub_ = std::make_unique<grpc::GenericStub>(grpc::CreateCustomChannel(
        options.target, grpc::InsecureChannelCredentials(), arguments));
  }

  std::string Call(const grpc::ByteBuffer& message,
                   grpc_compression_algorithm compression = GRPC_COMPRESS_NONE,
                   absl::Duration deadline = absl::Minutes(1)) {
    grpc::ClientContext context;
    context.set_compression_algorithm(compression);
    context.set_deadline(absl::ToChronoTime(absl::Now() + deadline));
    grpc::ByteBuffer response;
    std::promise<grpc::StatusCode> code;
    stub_->UnaryCall(&context, kClassify, {}, &message, &response,
                     [&](const grpc::Status& status) {
                       code.set_value(status.error_code());
                     });
    return absl::StrCat(code.get_future().get());
  }

  std::string Call(const std::string& message) {
    const grpc::Slice slice(message);
    return Call(grpc::ByteBuffer(&slice, 1));
  }

 private:
  std::unique_ptr<grpc::GenericStub> stub_;
};

std::string CodeName(grpc::StatusCode code) { return absl::StrCat(code); }
const std::string kOk = CodeName(grpc::StatusCode::OK);
const std::string kInvalid = CodeName(grpc::StatusCode::INVALID_ARGUMENT);
const std::string kExhausted = CodeName(grpc::StatusCode::RESOURCE_EXHAUSTED);
const std::string kUnavailable = CodeName(grpc::StatusCode::UNAVAILABLE);
const std::string kUnimplemented = CodeName(grpc::StatusCode::UNIMPLEMENTED);
const std::string kExpired = CodeName(grpc::StatusCode::DEADLINE_EXCEEDED);

v1::ClassifyRequest RequestOf(const AbuseOptions& options, int inputs,
                              const std::string& text) {
  v1::ClassifyRequest request;
  request.set_model(options.model);
  for (int i = 0; i < inputs; ++i) request.add_inputs()->set_text(text);
  return request;
}

void LongTexts(Attacker& attacker) {
  Caller caller(attacker.options());
  std::string text;
  while (text.size() < 1000000) text += "two hours I will not get back; ";
  const std::string message =
      RequestOf(attacker.options(), 3, text).SerializeAsString();
  while (!attacker.over()) {
    attacker.CountEnd(caller.Call(message), {kOk, kExhausted});
  }
}

void ManyInputs(Attacker& attacker) {
  Caller caller(attacker.options());
  const std::string message =
      RequestOf(attacker.options(), 100000, "x").SerializeAsString();
  while (!attacker.over()) {
    attacker.CountEnd(caller.Call(message), {kInvalid, kExhausted});
  }
}

// NULs, what is not UTF-8, nothing, huge and negative numbers, fields that
// nobody knows, messages that were cut or are noise.
void OddMessages(Attacker& attacker) {
  Caller caller(attacker.options());
  std::mt19937 random(1);
  const AbuseOptions& options = attacker.options();
  const std::string plain =
      RequestOf(options, 2, "a gripping film").SerializeAsString();
  v1::ClassifyRequest huge_top_k = RequestOf(options, 1, "a gripping film");
  huge_top_k.set_top_k(2147483647);
  v1::ClassifyRequest negative_top_k = huge_top_k;
  negative_top_k.set_top_k(-2147483647);
  std::string unknown_fields = plain;
  for (int field = 0; field < 10000; ++field) {
    unknown_fields += "\xfa\x3f\x04junk";  // field 1023, of 4 bytes
  }
  std::string noise(1000, '\0');
  for (char& byte : noise) byte = static_cast<char>(random());
  const std::vector<std::string> messages = {
      "",
      RequestOf(options, 1, "").SerializeAsString(),
      RequestOf(options, 1, std::string(1000, '\0')).SerializeAsString(),
      RequestOf(options, 1, "a\xff\xfe\xc3(\xed\xa0\x80").SerializeAsString(),
      huge_top_k.SerializeAsString(),
      negative_top_k.SerializeAsString(),
      unknown_fields,
      plain.substr(0, plain.size() / 2),
      noise,
  };
  while (!attacker.over()) {
    for (const std::string& message : messages) {
      attacker.CountEnd(caller.Call(message), {kOk, kInvalid, kExhausted});
    }
  }
}

void CompressedBombs(Attacker& attacker) {
  Caller caller(attacker.options());
  const std::string zeros(64 << 20, '\0');
  const grpc::Slice slice(zeros);
  while (!attacker.over()) {
    attacker.CountEnd(
        caller.Call(grpc::ByteBuffer(&slice, 1), GRPC_COMPRESS_GZIP),
        {kUnimplemented});
  }
}

// A length that is honest, and the bytes to it.
void HugeMessages(Attacker& attacker) {
  Caller caller(attacker.options());
  const grpc::Slice megabyte(std::string(1 << 20, 'x'));
  const std::vector<grpc::Slice> slices(attacker.options().huge_message_mb,
                                        megabyte);
  const grpc::ByteBuffer message(slices.data(), slices.size());
  while (!attacker.over()) {
    attacker.CountEnd(
        caller.Call(message, GRPC_COMPRESS_NONE, absl::Seconds(20)),
        {kExhausted, kUnavailable, kExpired});
  }
}

// ---- Frames that no library sends.

// Opens connections and says hello on them; as many as the system allows.
std::vector<RawConnection> OpenMany(Attacker& attacker, int most,
                                    uint32_t window) {
  most = std::min(most, attacker.options().connections);
  std::vector<RawConnection> connections;
  while (static_cast<int>(connections.size()) < most) {
    auto connection = RawConnection::Open(attacker.options().target);
    if (!connection.ok() || !connection->Send(Http2Hello(window))) break;
    connections.push_back(*std::move(connection));
  }
  return connections;
}

std::string Headers(uint32_t stream, uint8_t flags = kEndHeaders) {
  return Http2Frame(Http2Type::kHeaders, flags, stream, CallHeaders(kClassify));
}

void IdleConnections(Attacker& attacker) {
  const std::vector<RawConnection> connections =
      OpenMany(attacker, attacker.options().connections, 65535);
  attacker.report().attempts = static_cast<int64_t>(connections.size());
  attacker.SleepUntilOver();
}

// Calls whose answers are never taken, since no window is ever opened.
void SlowReaders(Attacker& attacker) {
  const std::string message =
      RequestOf(attacker.options(), 1, "a gripping film").SerializeAsString();
  const std::string data = absl::StrCat(MessagePrefix(message.size()), message);
  std::vector<RawConnection> connections =
      OpenMany(attacker, kConnectionsWithStreams, /*window=*/0);
  for (int call = 0; call < kStreamsPerConnection && !attacker.over(); ++call) {
    const auto stream = static_cast<uint32_t>(2 * call + 1);
    for (RawConnection& connection : connections) {
      if (attacker.over()) break;
      if (connection.Send(absl::StrCat(
              Headers(stream),
              Http2Frame(Http2Type::kData, kEndStream, stream, data)))) {
        ++attacker.report().attempts;
      }
    }
  }
  attacker.SleepUntilOver();
}

// Calls that begin a message and do not go on.
void HalfOpenStreams(Attacker& attacker) {
  const std::string half =
      absl::StrCat(MessagePrefix(1 << 20), std::string(1000, 'x'));
  std::vector<RawConnection> connections =
      OpenMany(attacker, kConnectionsWithStreams, 65535);
  for (int call = 0; call < kStreamsPerConnection && !attacker.over(); ++call) {
    const auto stream = static_cast<uint32_t>(2 * call + 1);
    for (RawConnection& connection : connections) {
      if (attacker.over()) break;
      if (connection.Send(
              absl::StrCat(Headers(stream),
                           Http2Frame(Http2Type::kData, 0, stream, half)))) {
        ++attacker.report().attempts;
      }
    }
  }
  attacker.SleepUntilOver();
}

// Calls that are reset as soon as they have begun (CVE-2023-44487), and then
// connections.
void ResetStorm(Attacker& attacker) {
  constexpr int kCallsAtOnce = 50, kCallsPerConnection = 5000;
  const std::string cancel("\0\0\0\x8", 4);
  while (!attacker.over()) {
    auto connection = RawConnection::Open(attacker.options().target);
    if (!connection.ok()) return;
    connection->Send(Http2Hello(65535));
    uint32_t stream = 1;
    for (int call = 0; call < kCallsPerConnection && !connection->closed() &&
                       !attacker.over();
         call += kCallsAtOnce) {
      std::string frames;
      for (int i = 0; i < kCallsAtOnce; ++i, stream += 2) {
        absl::StrAppend(&frames, Headers(stream),
                        Http2Frame(Http2Type::kResetStream, 0, stream, cancel));
      }
      if (!connection->Send(frames)) break;
      attacker.report().attempts += kCallsAtOnce;
      connection->Receive(absl::ZeroDuration());
    }
    connection->Reset();
  }
}

// Noise, header blocks without an end (CVE-2024-27316), floods of settings and
// pings whose answers are not read.
void BrokenFrames(Attacker& attacker) {
  std::mt19937 random(1);
  std::string noise(1 << 14, '\0');
  for (char& byte : noise) byte = static_cast<char>(random());
  std::string continuations = Headers(1, /*flags=*/0);
  const std::string more = HeaderField("x", std::string(8000, 'x'));
  for (int i = 0; i < 100; ++i) {
    absl::StrAppend(&continuations,
                    Http2Frame(Http2Type::kContinuation, 0, 1, more));
  }
  std::string settings, pings;
  for (int i = 0; i < 1000; ++i) {
    absl::StrAppend(&settings, Http2Frame(Http2Type::kSettings, 0, 0, ""));
    absl::StrAppend(&pings, Http2Frame(Http2Type::kPing, 0, 0, "12345678"));
  }
  const std::string too_long =
      Http2Frame(Http2Type::kData, 0, 1, "").replace(0, 3, "\xff\xff\xff");
  while (!attacker.over()) {
    for (const std::string& frames :
         {noise, continuations, settings, pings, too_long}) {
      auto connection = RawConnection::Open(attacker.options().target);
      if (!connection.ok()) return;
      connection->Send(Http2Hello(65535));
      for (int times = 0; times < 20 && connection->Send(frames); ++times) {
      }
      ++attacker.report().attempts;
    }
  }
}

// ---- HTTP.

std::string Post(const std::string& path, const std::string& headers) {
  return absl::StrCat("POST ", path, " HTTP/1.1\r\nHost: localhost\r\n",
                      headers);
}

// The status of the first response to come within `patience`.
std::string HttpStatus(RawConnection& connection, absl::Duration patience) {
  const std::string answer = connection.Receive(patience);
  return absl::StartsWith(answer, "HTTP/1.1 ") ? answer.substr(9, 3) : "none";
}

// Requests of which a byte comes now and then.
void SlowRequests(Attacker& attacker) {
  std::vector<RawConnection> connections;
  const std::string start = Post("/v1/classify", "Content-Length: 1000\r\n");
  while (static_cast<int>(connections.size()) <
         attacker.options().connections) {
    auto connection = RawConnection::Open(attacker.options().http_target);
    if (!connection.ok() || !connection->Send(start)) break;
    connections.push_back(*std::move(connection));
  }
  attacker.report().attempts = static_cast<int64_t>(connections.size());
  while (!attacker.over()) {
    for (RawConnection& connection : connections) connection.Send("x");
    absl::SleepFor(absl::Milliseconds(100));
  }
}

void EndlessHttp(Attacker& attacker) {
  std::string headers = Post("/v1/classify", "");
  for (int i = 0; i < 1000; ++i) absl::StrAppend(&headers, "X-", i, ": x\r\n");
  std::string chunks =
      Post("/v1/classify", "Transfer-Encoding: chunked\r\n\r\n");
  for (int i = 0; i < 100; ++i) {
    absl::StrAppend(&chunks, "10000\r\n", std::string(1 << 16, 'x'), "\r\n");
  }
  chunks += "0\r\n\r\n";
  const std::string line = absl::StrCat("GET /", std::string(1 << 20, 'a'));
  while (!attacker.over()) {
    for (const std::string& request : {headers, chunks, line}) {
      auto connection = RawConnection::Open(attacker.options().http_target);
      if (!connection.ok()) return;
      connection->Send(request);
      attacker.CountEnd(HttpStatus(*connection, absl::Seconds(5)),
                        {"413", "414", "431", "none"});
    }
  }
}

void BadJson(Attacker& attacker) {
  const std::vector<std::string> bodies = {
      "",
      "{",
      std::string(1 << 20, '['),
      absl::StrCat("{\"inputs\":", std::string(100000, '['),
                   std::string(100000, ']'), "}"),
      "{\"inputs\": [{\"text\": \"\\ud800\"}], \"topK\": 1e400}",
      "{\"inputs\": [{\"text\": \"a\xff\"}]}",
      absl::StrCat("{\"inputs\": [", std::string(1 << 20, '9'), "]}"),
  };
  while (!attacker.over()) {
    for (const char* path : {"/v1/classify", "/v2/models/none/infer"}) {
      for (const std::string& body : bodies) {
        auto connection = RawConnection::Open(attacker.options().http_target);
        if (!connection.ok()) return;
        connection->Send(absl::StrCat(
            Post(path,
                 absl::StrCat("Content-Length: ", body.size(), "\r\n\r\n")),
            body));
        attacker.CountEnd(HttpStatus(*connection, absl::Seconds(5)),
                          {"400", "404", "429"});
      }
    }
  }
}

struct Attack {
  const char* name;
  void (*run)(Attacker& attacker);
};

constexpr Attack kAttacks[] = {
    {"long-texts", LongTexts},       {"many-inputs", ManyInputs},
    {"odd-messages", OddMessages},   {"compressed-bombs", CompressedBombs},
    {"huge-messages", HugeMessages}, {"idle-connections", IdleConnections},
    {"slow-readers", SlowReaders},   {"half-open-streams", HalfOpenStreams},
    {"reset-storm", ResetStorm},     {"broken-frames", BrokenFrames},
    {"slow-requests", SlowRequests}, {"endless-http", EndlessHttp},
    {"bad-json", BadJson},
};

}  // namespace

std::vector<std::string> AttackNames() {
  std::vector<std::string> names;
  for (const Attack& attack : kAttacks) names.emplace_back(attack.name);
  return names;
}

absl::StatusOr<AbuseReport> RunAttack(const std::string& name,
                                      const AbuseOptions& options) {
  for (const Attack& attack : kAttacks) {
    if (name != attack.name) continue;
    Attacker attacker(options);
    attack.run(attacker);
    return attacker.report();
  }
  return absl::NotFoundError(
      absl::StrCat("expected an attack, found '", name,
                   "'; there are: ", absl::StrJoin(AttackNames(), " ")));
}

}  // namespace tern

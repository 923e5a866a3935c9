// The program of script/verify drain and kill-one.
//
//   restarts --model=NAME=FOLDER --restarts=50 [--kill]
//
// Two servers, and clients that spread their calls over both in turn, with the
// shipped service config. One server after the other is told to end (SIGTERM,
// or SIGKILL with --kill) under load and started again. Exits 0 only where all
// calls were answered and each SIGTERM led to exit code 0.

#include <signal.h>

#include <atomic>
#include <cstdio>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/end_to_end/random_texts.h"
#include "tests/end_to_end/server_process.h"

ABSL_FLAG(std::string, model, "", "NAME=FOLDER of a classifier.");
ABSL_FLAG(int, restarts, 50, "How often a server is ended.");
ABSL_FLAG(bool, kill, false, "By SIGKILL.");
ABSL_FLAG(int, clients, 8, "That call without a pause.");

namespace tern {
namespace {

std::unique_ptr<ServerProcess> StartServer(const std::string& listen) {
  auto server = ServerProcess::Start(
      {absl::StrCat("--model=", absl::GetFlag(FLAGS_model)),
       "--listen=" + listen, "--lame-duck=100ms"});
  if (!server.ok()) {
    std::fprintf(stderr, "%s\n", server.status().ToString().c_str());
    return nullptr;
  }
  return *std::move(server);
}

int RunRestarts() {
  std::unique_ptr<ServerProcess> servers[2];
  std::string targets[2];
  for (int i = 0; i < 2; ++i) {
    servers[i] = StartServer("127.0.0.1:0");
    if (servers[i] == nullptr) return 1;
    targets[i] = servers[i]->target();
  }

  std::atomic<bool> stop = false;
  std::atomic<int64_t> calls = 0, failed = 0;
  std::mutex mutex;
  std::string first_failure;
  const std::string both = absl::StrCat("ipv4:", targets[0], ",", targets[1]);
  const std::vector<std::string> texts = RandomTexts(100, /*seed=*/1);
  std::vector<std::thread> clients;
  for (int c = 0; c < absl::GetFlag(FLAGS_clients); ++c) {
    clients.emplace_back([&, c] {
      ClientOptions options;
      options.user_agent = absl::StrCat("restarts-", c);
      const auto client = Client::Create(both, options).value();
      for (size_t call = c; !stop; ++call) {
        v1::ClassifyRequest request;
        request.add_inputs()->set_text(texts[call % texts.size()]);
        const auto response = client->Classify(request);
        ++calls;
        if (response.ok()) continue;
        ++failed;
        std::lock_guard lock(mutex);
        if (first_failure.empty()) {
          first_failure = response.status().ToString();
        }
      }
    });
  }

  int bad_exits = 0;
  const bool kill = absl::GetFlag(FLAGS_kill);
  for (int restart = 0; restart < absl::GetFlag(FLAGS_restarts); ++restart) {
    const int64_t enough = calls + 200;  // both servers are in use
    while (calls < enough) absl::SleepFor(absl::Milliseconds(1));
    std::unique_ptr<ServerProcess>& server = servers[restart % 2];
    server->process().Signal(kill ? SIGKILL : SIGTERM);
    const int exit_code = server->process().Wait();
    if (!kill && exit_code != 0) ++bad_exits;
    server = StartServer(targets[restart % 2]);
    if (server == nullptr) {
      ++bad_exits;
      break;
    }
  }
  stop = true;
  for (std::thread& client : clients) client.join();

  if (failed > 0) std::fprintf(stderr, "%s\n", first_failure.c_str());
  std::printf(
      "%d times %s of one of two servers: %lld calls, %lld failed, %d bad "
      "exits\n",
      absl::GetFlag(FLAGS_restarts), kill ? "SIGKILL" : "SIGTERM",
      static_cast<long long>(calls), static_cast<long long>(failed), bad_exits);
  return failed == 0 && bad_exits == 0 ? 0 : 1;
}

}  // namespace
}  // namespace tern

int main(int argc, char** argv) {
  absl::ParseCommandLine(argc, argv);
  return tern::RunRestarts();
}

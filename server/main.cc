// tern-server: see --help.
//
// Exit codes: 0 after SIGTERM or SIGINT and a full drain, 1 for a server that
// could not start, 2 for a bad command line.

#include <signal.h>
#include <sys/resource.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "flags/version.h"
#include "server/library_logs.h"
#include "server/log.h"
#include "server/no_throw.h"
#include "server/options.h"
#include "server/server.h"

namespace {

constexpr int kCannotStart = 1;
constexpr int kBadCommandLine = 2;

// Blocks the signals that end the server in this thread and in those that it
// starts, so that sigwait gets them and no handler runs.
sigset_t BlockEndingSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

// A connection is a file, and the usual soft limit of 1024 is for programs that
// use select().
void RaiseFileLimit() {
  rlimit limit = {};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

int main(int argc, char** argv) {
  const sigset_t ending = BlockEndingSignals();
  RaiseFileLimit();
  const std::vector<absl::string_view> arguments(argv + 1, argv + argc);
  const absl::StatusOr<tern::Options> options = tern::ParseOptions(arguments);
  if (!options.ok()) {
    std::fprintf(stderr, "tern-server: %s\n",
                 std::string(options.status().message()).c_str());
    return kBadCommandLine;
  }
  if (options->help) {
    std::fputs(tern::HelpText().c_str(), stdout);
    return 0;
  }
  if (options->version) {
    std::printf("tern-server %s\n", tern::Version());
    return 0;
  }
  tern::SetUpLog(options->log_format, options->log_level);
  tern::RouteLibraryLogs();
  // E.g. std::system_error, where the system gives no more threads.
  auto server = tern::NoThrow("the server could not start", [&options] {
    return tern::Server::Start(*options);
  });
  if (!server.ok()) {
    tern::Log(tern::LogLevel::kError, "cannot start",
              {{"error", std::string(server.status().message())}});
    return kCannotStart;
  }
  tern::Log(tern::LogLevel::kInfo, "serving",
            {{"address", (*server)->address()},
             {"metrics", (*server)->metrics_address()},
             {"http", (*server)->http_address()},
             {"admin", (*server)->admin_address()},
             {"workers", options->workers},
             {"threads", options->threads}});
  // For programs that start us: with port 0 only we know the port.
  std::printf("listening on %s\n", (*server)->address().c_str());
  if (!(*server)->http_address().empty()) {
    std::printf("http on %s\n", (*server)->http_address().c_str());
  }
  if (!(*server)->metrics_address().empty()) {
    std::printf("metrics on %s\n", (*server)->metrics_address().c_str());
  }
  if (!(*server)->admin_address().empty()) {
    std::printf("admin on %s\n", (*server)->admin_address().c_str());
  }
  if (std::fflush(stdout) != 0) {
    tern::Log(tern::LogLevel::kWarning, "standard output takes nothing",
              {{"error", std::string(std::strerror(errno))}});
  }

  int signal = 0;
  sigwait(&ending, &signal);
  (*server)->Drain();
  // Not destroyed: prometheus-cpp's listener takes up to two seconds to stop.
  static const tern::Server* const drained = server->release();
  (void)drained;
  return 0;
}

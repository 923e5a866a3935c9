#include "tests/end_to_end/server_process.h"

#include <signal.h>

#include <cstdlib>
#include <filesystem>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "tests/end_to_end/http_get.h"

namespace tern {
namespace {

// The rest of the line in `log` that begins with `words`.
std::optional<std::string> LineAfter(const std::string& log,
                                     absl::string_view words) {
  const std::vector<absl::string_view> lines = absl::StrSplit(log, '\n');
  // The last piece has no line feed yet, and may be half a line.
  for (size_t i = 0; i + 1 < lines.size(); ++i) {
    if (absl::StartsWith(lines[i], words)) {
      return std::string(absl::StripPrefix(lines[i], words));
    }
  }
  return std::nullopt;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ServerProcess>> ServerProcess::Start(
    const std::vector<std::string>& flags, const ClientOptions& options) {
  std::vector<std::string> arguments = {TERN_SERVER, "--listen=127.0.0.1:0",
                                        "--metrics-listen=127.0.0.1:0"};
  arguments.insert(arguments.end(), flags.begin(), flags.end());
  std::unique_ptr<ServerProcess> server(new ServerProcess());
  const absl::Time start = absl::Now();
  server->process_ = std::make_unique<ChildProcess>(
      arguments, server->folder_.path() + "/log");
  absl::Status status = server->WaitUntilServing(options);
  server->start_time_ = absl::Now() - start;
  if (!status.ok()) {
    return absl::UnavailableError(absl::StrCat(status.message(), "; its log:\n",
                                               server->process_->Log()));
  }
  return server;
}

absl::Status ServerProcess::WaitUntilServing(const ClientOptions& options) {
  const absl::Time end = absl::Now() + absl::Seconds(60);
  std::unique_ptr<Client> client;
  while (absl::Now() < end) {
    if (!process_->running()) {
      return absl::UnavailableError(
          absl::StrCat("tern-server ended with ", process_->Wait()));
    }
    if (client == nullptr) {
      const std::string log = process_->Log();
      const auto target = LineAfter(log, "listening on ");
      const auto metrics_target = LineAfter(log, "metrics on ");
      if (target.has_value() && metrics_target.has_value()) {
        target_ = *target;
        metrics_target_ = *metrics_target;
        http_target_ = LineAfter(log, "http on ").value_or("");
        admin_target_ = LineAfter(log, "admin on ").value_or("");
        client = NewClient(options);
      }
    } else if (client->Health("").value_or(ServerHealth::kUnknown) ==
               ServerHealth::kServing) {
      return absl::OkStatus();
    }
    absl::SleepFor(absl::Milliseconds(5));
  }
  return absl::UnavailableError("tern-server was not SERVING within 60 s");
}

std::unique_ptr<Client> ServerProcess::NewClient(
    const ClientOptions& options) const {
  return Client::Create(target_, options).value();
}

int ServerProcess::Stop() {
  process_->Signal(SIGTERM);
  return process_->Wait();
}

absl::StatusOr<Samples> ReadMetrics(const std::string& metrics_target,
                                    const std::string& token) {
  const auto page = HttpGet(metrics_target, "/metrics", token);
  if (!page.ok()) return page.status();
  Samples samples;
  for (const absl::string_view line : absl::StrSplit(*page, '\n')) {
    if (line.empty() || absl::StartsWith(line, "#")) continue;
    const size_t space = line.rfind(' ');
    double value = 0;
    if (space == absl::string_view::npos ||
        !absl::SimpleAtod(line.substr(space + 1), &value)) {
      return absl::UnknownError(absl::StrCat("not a sample: ", line));
    }
    samples[std::string(line.substr(0, space))] = value;
  }
  return samples;
}

double Total(const Samples& samples, const std::string& name) {
  double total = 0;
  for (const auto& [sample, value] : samples) {
    if (sample == name || absl::StartsWith(sample, name + "{")) total += value;
  }
  return total;
}

TemporaryFolder::TemporaryFolder() {
  path_ = std::filesystem::temp_directory_path() / "tern-XXXXXX";
  if (mkdtemp(path_.data()) == nullptr) abort();
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace tern

// `tern bench`

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/command.h"
#include "client/load_generator.h"
#include "client/load_picture.h"
#include "client/text_source.h"
#include "nlohmann/json.hpp"

namespace tern {
namespace {

constexpr char kDescription[] = R"(
Measures a served classifier under load. The requests are the TEXTs in turn or,
without one, the lines of stdin: so a file of real texts brings its real lengths.

Without --rate, --clients calls are under way all the time (closed loop). With
--rate, calls come by chance (Poisson) at that rate on average, and a latency
counts from the moment when a call was due, even if it was sent late. --ramp
first finds the most that a closed loop gets, then goes in steps up to 1.1 times
that rate and names the knee: the highest rate that is kept up with a p99 of at
most 5 times the p50 of the lowest.

No call is retried.
)";

constexpr char kExamples[] =
    R"(  tern bench --clients 8 < reviews.txt
  tern bench --rate 200 --seconds 30s --json < reviews.txt
  tern bench --ramp --picture load.svg < reviews.txt
)";

// Calls at a rate need a sender each while they wait.
constexpr int kSendersAtARate = 128;
constexpr double kRampSteps[] = {0.1, 0.2, 0.3, 0.4, 0.5, 0.6,
                                 0.7, 0.8, 0.9, 1.0, 1.1};
constexpr double kKneeLatencyRatio = 5;
constexpr double kKeptUpShare = 0.95;  // of the rate; Poisson's own spread

struct Flags {
  Connection connection;
  std::string model;
  std::string version;
  int clients = 1;
  std::optional<int> rate;
  absl::Duration duration = absl::Seconds(10);
  absl::Duration warm_up = absl::Seconds(2);
  bool pair = false;
  bool ramp = false;
  bool json = false;
  std::string picture;
};

absl::StatusOr<std::vector<v1::ClassifyRequest>> ReadRequests(
    const Flags& flags, TextSource& source) {
  std::vector<v1::ClassifyRequest> requests;
  for (;;) {
    Text text;
    const absl::StatusOr<bool> found = source.Next(text);
    if (!found.ok()) return found.status();
    if (!*found) break;
    v1::ClassifyRequest request;
    request.set_model(flags.model);
    request.set_version(flags.version);
    v1::TextInput& input = *request.add_inputs();
    input.set_text(text.text);
    if (text.pair.has_value()) input.set_text_pair(*text.pair);
    requests.push_back(std::move(request));
  }
  if (requests.empty()) {
    return absl::InvalidArgumentError(
        "stdin: expected a text a line, found none");
  }
  return requests;
}

absl::Status CheckFlags(const Flags& flags) {
  if (flags.clients < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("--clients: expected at least 1, found ", flags.clients));
  }
  if (flags.rate.has_value() && *flags.rate < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("--rate: expected at least 1, found ", *flags.rate));
  }
  if (flags.ramp && flags.rate.has_value()) {
    return absl::InvalidArgumentError(
        "--ramp finds its own rates: expected no --rate");
  }
  if (!flags.picture.empty() && !flags.ramp) {
    return absl::InvalidArgumentError("--picture: expected --ramp with it");
  }
  if (flags.duration <= absl::ZeroDuration() ||
      flags.warm_up < absl::ZeroDuration()) {
    return absl::InvalidArgumentError(
        "--seconds, --warm-up: expected a positive time, and one not negative");
  }
  return absl::OkStatus();
}

// Runs loads with one client and shows how far they are.
class Bench {
 public:
  Bench(const Flags& flags, const Client& client,
        const std::vector<v1::ClassifyRequest>& requests)
      : flags_(flags),
        client_(client),
        requests_(requests),
        show_progress_(isatty(STDERR_FILENO)) {}

  // `rate` 0: a closed loop.
  LoadResult Run(double rate, int senders) const {
    const std::string name = rate > 0 ? absl::StrFormat("%.0f/s", rate)
                                      : absl::StrCat(senders, " clients");
    LoadResult result = RunLoad(
        {.senders = senders,
         .rate = rate,
         .warm_up = flags_.warm_up,
         .duration = flags_.duration},
        [&](int64_t index) {
          return client_.Classify(requests_[index % requests_.size()]).status();
        },
        [&](double share) { ShowProgress(name, share); });
    if (show_progress_) std::fputs("\r\033[K", stderr);
    return result;
  }

 private:
  void ShowProgress(const std::string& name, double share) const {
    if (!show_progress_) return;
    constexpr int kBarWidth = 30;
    const int filled = static_cast<int>(share * kBarWidth);
    std::fputs(absl::StrFormat(
                   "\r\033[K%s [%s%s] %3.0f%%", name, std::string(filled, '='),
                   std::string(kBarWidth - filled, ' '), 100 * share)
                   .c_str(),
               stderr);
  }

  const Flags& flags_;
  const Client& client_;
  const std::vector<v1::ClassifyRequest>& requests_;
  const bool show_progress_;
};

double Seconds(const LoadResult& result, double percent) {
  return absl::ToDoubleSeconds(result.latencies.Percentile(percent));
}

nlohmann::ordered_json ToJson(const LoadResult& result, int clients,
                              double rate) {
  nlohmann::ordered_json json;
  if (rate > 0) {
    json["rate"] = rate;
  } else {
    json["clients"] = clients;
  }
  json["requestsPerSecond"] = result.calls_per_second;
  json["answered"] = result.latencies.count();
  json["failed"] = result.failed;
  json["latencySeconds"] = {
      {"p50", Seconds(result, 50)},
      {"p90", Seconds(result, 90)},
      {"p99", Seconds(result, 99)},
      {"p999", Seconds(result, 99.9)},
      {"max", absl::ToDoubleSeconds(result.latencies.max())}};
  return json;
}

void PrintHeading() {
  absl::PrintF("%12s %9s %9s %7s %9s %9s %9s %9s %9s\n", "load", "requests/s",
               "answered", "failed", "p50 ms", "p90 ms", "p99 ms", "p99.9 ms",
               "max ms");
}

void PrintRow(const LoadResult& result, int clients, double rate) {
  absl::PrintF("%12s %9.1f %9d %7d %9.2f %9.2f %9.2f %9.2f %9.2f\n",
               rate > 0 ? absl::StrFormat("%.0f/s", rate)
                        : absl::StrCat(clients, " clients"),
               result.calls_per_second, result.latencies.count(), result.failed,
               1e3 * Seconds(result, 50), 1e3 * Seconds(result, 90),
               1e3 * Seconds(result, 99), 1e3 * Seconds(result, 99.9),
               1e3 * absl::ToDoubleSeconds(result.latencies.max()));
  std::fflush(stdout);
}

// Nothing to report: the load could not be run at all.
absl::Status CheckAnswered(const LoadResult& result) {
  if (result.latencies.count() > 0) return absl::OkStatus();
  if (!result.first_failure.ok()) return result.first_failure;
  return absl::DeadlineExceededError("no call was due in so short a time");
}

absl::Status RunOnce(const Flags& flags, const Bench& bench) {
  const double rate = flags.rate.value_or(0);
  const LoadResult result =
      bench.Run(rate, rate > 0 ? kSendersAtARate : flags.clients);
  if (absl::Status status = CheckAnswered(result); !status.ok()) return status;
  if (flags.json) {
    std::puts(ToJson(result, flags.clients, rate).dump().c_str());
  } else {
    PrintHeading();
    PrintRow(result, flags.clients, rate);
  }
  return result.first_failure;
}

struct Step {
  double rate;
  LoadResult result;
};

// The last step before the first that the server does not take in its stride;
// none if that is the first.
std::optional<size_t> FindKnee(const std::vector<Step>& steps) {
  const double calm_seconds = Seconds(steps[0].result, 50);
  size_t good = 0;
  while (good < steps.size() && steps[good].result.failed == 0 &&
         steps[good].result.calls_per_second >=
             kKeptUpShare * steps[good].rate &&
         Seconds(steps[good].result, 99) <= kKneeLatencyRatio * calm_seconds) {
    ++good;
  }
  if (good == 0) return std::nullopt;
  return good - 1;
}

absl::Status WritePicture(const std::string& path, double most,
                          const std::vector<Step>& steps,
                          std::optional<size_t> knee) {
  std::vector<LoadPoint> points;
  for (size_t i = 0; i < steps.size(); ++i) {
    points.push_back({.calls_per_second = steps[i].rate,
                      .p50_seconds = Seconds(steps[i].result, 50),
                      .p99_seconds = Seconds(steps[i].result, 99),
                      .is_knee = knee == i});
  }
  std::ofstream file(path);
  file << DrawLoad(
      absl::StrFormat("Latency against load; a closed loop gets %.0f/s", most),
      points);
  file.close();
  if (!file) {
    return absl::UnavailableError(absl::StrCat(path, ": cannot write it"));
  }
  return absl::OkStatus();
}

absl::Status RunRamp(const Flags& flags, const Bench& bench) {
  const int clients = std::max(flags.clients, 32);
  const LoadResult most = bench.Run(/*rate=*/0, clients);
  if (absl::Status status = CheckAnswered(most); !status.ok()) return status;
  if (most.calls_per_second == 0) {
    return absl::DeadlineExceededError(
        absl::StrCat("no answer came within ",
                     absl::FormatDuration(flags.duration), " (--seconds)"));
  }
  if (!flags.json) {
    PrintHeading();
    PrintRow(most, clients, 0);
  }
  std::vector<Step> steps;
  for (const double share : kRampSteps) {
    const double rate = share * most.calls_per_second;
    steps.push_back({rate, bench.Run(rate, kSendersAtARate)});
    if (absl::Status status = CheckAnswered(steps.back().result);
        !status.ok()) {
      return status;
    }
    if (!flags.json) PrintRow(steps.back().result, 0, rate);
  }
  const std::optional<size_t> knee = FindKnee(steps);
  if (flags.json) {
    nlohmann::ordered_json json;
    json["closedLoop"] = ToJson(most, clients, 0);
    for (const Step& step : steps) {
      json["steps"].push_back(ToJson(step.result, 0, step.rate));
    }
    json["kneeRate"] = knee.has_value()
                           ? nlohmann::ordered_json(steps[*knee].rate)
                           : nlohmann::ordered_json(nullptr);
    std::puts(json.dump().c_str());
  } else if (knee.has_value()) {
    absl::PrintF("knee: %.0f requests/s\n", steps[*knee].rate);
  } else {
    absl::PrintF("knee: below %.0f requests/s\n", steps[0].rate);
  }
  if (flags.picture.empty()) return absl::OkStatus();
  return WritePicture(flags.picture, most.calls_per_second, steps, knee);
}

}  // namespace

int BenchCommand(int argc, char** argv) {
  Flags flags;
  flags.connection.options.retry = false;
  CommandLine line("bench", "[TEXT...]", kDescription, kExamples);
  line.Add("clients", "N", "calls under way in a closed loop (default: 1)",
           &flags.clients);
  line.Add("rate", "N", "calls a second instead, on average", &flags.rate);
  line.Add("ramp", "", "find the knee", &flags.ramp);
  line.Add("seconds", "DURATION",
           "how long to measure each load (default: 10s)", &flags.duration);
  line.Add("warm-up", "DURATION", "before that, not counted (default: 2s)",
           &flags.warm_up);
  line.Add("pair", "",
           "texts come in pairs: two arguments each, or a line with a tab "
           "between",
           &flags.pair);
  line.Add("json", "", "one JSON object", &flags.json);
  line.Add("picture", "FILE", "with --ramp: latency against load, as SVG",
           &flags.picture);
  line.Add("model", "NAME", "served model (default: the only classifier)",
           &flags.model);
  line.Add("model-version", "VERSION", "its version (default: the newest)",
           &flags.version);
  flags.connection.AddTo(line);

  auto texts = line.Parse(argc, argv);
  if (!texts.ok()) return WrongUsage(line, texts.status());
  if (absl::Status status = CheckFlags(flags); !status.ok()) {
    return WrongUsage(line, status);
  }
  auto client = flags.connection.Open();
  if (!client.ok()) return WrongUsage(line, client.status());

  TextSource source(*std::move(texts), STDIN_FILENO, flags.pair);
  const auto requests = ReadRequests(flags, source);
  if (!requests.ok()) return FailedCall(requests.status(), flags.connection);
  // A wrong address or model shows at once, not after a load.
  if (auto answer = (*client)->Classify(requests->front()); !answer.ok()) {
    return FailedCall(answer.status(), flags.connection);
  }
  const Bench bench(flags, **client, *requests);
  const absl::Status status =
      flags.ramp ? RunRamp(flags, bench) : RunOnce(flags, bench);
  if (!status.ok()) return FailedCall(status, flags.connection);
  return EndOfOutput();
}

}  // namespace tern

#include "tests/end_to_end/storm.h"

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <future>
#include <mutex>
#include <random>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "tern/v1/inference_service.grpc.pb.h"
#include "tests/end_to_end/random_texts.h"

namespace tern {
namespace {

enum class Kind {
  kPlain,
  kCancelled,
  kShortDeadline,
  kEmptyText,
  kNoSuchModel
};

Kind RandomKind(std::mt19937& random) {
  const int percent = static_cast<int>(random() % 100);
  if (percent < 40) return Kind::kPlain;
  if (percent < 65) return Kind::kCancelled;
  if (percent < 90) return Kind::kShortDeadline;
  return percent < 95 ? Kind::kEmptyText : Kind::kNoSuchModel;
}

// Times about as long as an answer takes, on whatever machine: calls that end
// so soon are caught at every stage.
class ShortTimes {
 public:
  // From 0 to twice the usual time, often near 0.
  absl::Duration Next(std::mt19937& random) const {
    const double part = std::uniform_real_distribution<double>()(random);
    return absl::Microseconds(2 * usual_us_.load() * part * part);
  }

  void Answered(absl::Duration took) {
    usual_us_ = (7 * usual_us_.load() + absl::ToInt64Microseconds(took)) / 8;
  }

 private:
  std::atomic<int64_t> usual_us_ = 10'000;
};

grpc::StatusCode RunCall(v1::InferenceService::Stub& stub,
                         const v1::ClassifyRequest& request, Kind kind,
                         ShortTimes& short_times, std::mt19937& random) {
  grpc::ClientContext context;
  const absl::Time start = absl::Now();
  const absl::Duration deadline = kind == Kind::kShortDeadline
                                      ? short_times.Next(random)
                                      : absl::Minutes(2);
  context.set_deadline(absl::ToChronoTime(start + deadline));
  v1::ClassifyResponse response;
  std::promise<grpc::StatusCode> code;
  stub.async()->Classify(
      &context, &request, &response,
      [&](const grpc::Status& status) { code.set_value(status.error_code()); });
  if (kind == Kind::kCancelled) {
    absl::SleepFor(short_times.Next(random));
    context.TryCancel();
  }
  const grpc::StatusCode end = code.get_future().get();
  if (end == grpc::StatusCode::OK) short_times.Answered(absl::Now() - start);
  // As clients do: else the queue is full of calls that wait, and few are
  // accepted.
  if (end == grpc::StatusCode::RESOURCE_EXHAUSTED) {
    absl::SleepFor(short_times.Next(random));
  }
  return end;
}

void Count(grpc::StatusCode code, StormReport& report) {
  ++report.calls;
  switch (code) {
    case grpc::StatusCode::OK:
      ++report.ok;
      break;
    case grpc::StatusCode::CANCELLED:
      ++report.cancelled;
      break;
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      ++report.expired;
      break;
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
      ++report.refused;
      break;
    case grpc::StatusCode::UNAVAILABLE:
      ++report.unavailable;
      break;
    case grpc::StatusCode::INVALID_ARGUMENT:
      ++report.invalid;
      break;
    case grpc::StatusCode::NOT_FOUND:
      ++report.not_found;
      break;
    default:
      ++report.other;
  }
}

absl::Status Check(bool holds, absl::string_view what, const StormReport& r,
                   const Accounting& a) {
  if (holds) return absl::OkStatus();
  return absl::InternalError(absl::StrFormat(
      "%s does not hold: accepted %d, answered %d, failed %d, cancelled %d, "
      "expired %d, rejected %d (invalid %d, not found %d); clients made %d "
      "calls: ok %d, cancelled %d, expired %d, refused %d, unavailable %d, "
      "invalid %d, not found %d, other %d",
      what, a.accepted, a.answered, a.failed, a.cancelled, a.expired,
      a.rejected, a.rejected_invalid, a.rejected_not_found, r.calls, r.ok,
      r.cancelled, r.expired, r.refused, r.unavailable, r.invalid, r.not_found,
      r.other));
}

}  // namespace

StormReport RunStorm(const std::string& target, const StormOptions& options) {
  const std::vector<std::string> texts = RandomTexts(200, options.seed);
  std::atomic<int> calls_left = options.calls;
  ShortTimes short_times;
  std::mutex mutex;
  StormReport report;  // guarded by mutex until the threads have ended

  const auto run_client = [&](int number) {
    grpc::ChannelArguments arguments;
    arguments.SetUserAgentPrefix(absl::StrCat("tern-storm-", number));
    // A call is counted once, here and there.
    arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
    const auto stub = v1::InferenceService::NewStub(grpc::CreateCustomChannel(
        target, grpc::InsecureChannelCredentials(), arguments));
    std::mt19937 random(options.seed * 1000 + number);
    while (calls_left.fetch_sub(1) > 0) {
      const Kind kind = RandomKind(random);
      v1::ClassifyRequest request;
      request.set_model(kind == Kind::kNoSuchModel ? "nosuch" : options.model);
      const int inputs = 1 + static_cast<int>(random() % 8);
      for (int i = 0; i < inputs; ++i) {
        request.add_inputs()->set_text(
            kind == Kind::kEmptyText ? "" : texts[random() % texts.size()]);
      }
      const grpc::StatusCode code =
          RunCall(*stub, request, kind, short_times, random);
      std::lock_guard lock(mutex);
      Count(code, report);
    }
  };

  std::vector<std::thread> threads;
  for (int number = 0; number < options.clients; ++number) {
    threads.emplace_back(run_client, number);
  }
  for (std::thread& thread : threads) thread.join();
  return report;
}

absl::StatusOr<Accounting> ReadAccounting(const std::string& metrics_target) {
  const absl::Time end = absl::Now() + absl::Seconds(30);
  while (true) {
    const auto samples = ReadMetrics(metrics_target);
    if (!samples.ok()) return samples.status();
    const double in_flight = Total(*samples, "tern_requests_in_flight");
    if (in_flight == 0) {
      const auto count = [&](const std::string& name) {
        return static_cast<int64_t>(Total(*samples, name));
      };
      const auto ended = [&](const std::string& outcome) {
        return count(absl::StrCat("tern_requests_ended_total{outcome=\"",
                                  outcome, "\"}"));
      };
      const auto rejected = [&](const std::string& reason) {
        return count(absl::StrCat("tern_requests_rejected_total{reason=\"",
                                  reason, "\"}"));
      };
      return Accounting{
          .accepted = count("tern_requests_accepted_total"),
          .answered = ended("answered"),
          .failed = ended("failed"),
          .cancelled = ended("cancelled"),
          .expired = ended("expired"),
          .rejected = count("tern_requests_rejected_total"),
          .rejected_invalid = rejected("invalid"),
          .rejected_not_found = rejected("not_found"),
      };
    }
    if (absl::Now() > end) {
      return absl::DeadlineExceededError(
          absl::StrCat(in_flight, " requests are in flight still"));
    }
    absl::SleepFor(absl::Milliseconds(10));
  }
}

absl::Status CheckAccounting(const StormReport& report,
                             const Accounting& accounting) {
  const auto& [accepted, answered, failed, cancelled, expired, rejected,
               rejected_invalid, rejected_not_found] = accounting;
  absl::Status status;
  const auto check = [&](bool holds, absl::string_view what) {
    status.Update(Check(holds, what, report, accounting));
  };
  check(accepted == answered + failed + cancelled + expired,
        "accepted = answered + failed + cancelled + expired");
  check(failed == 0 && report.other == 0, "nothing fails");
  // A client may miss an answer that was sent, but never gets one that was not.
  check(report.ok > 0 && report.ok <= answered, "0 < ok <= answered");
  // Some calls end before they reach the server.
  check(accepted + rejected <= report.calls, "accepted + rejected <= calls");
  check(report.invalid == rejected_invalid, "invalid = rejected as invalid");
  check(report.not_found == rejected_not_found,
        "not found = rejected as not found");
  // Else the storm has shown nothing about these.
  check(cancelled > 0, "some requests are cancelled");
  check(expired > 0, "some requests expire");
  return status;
}

}  // namespace tern

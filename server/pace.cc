#include "server/pace.h"

#include <algorithm>
#include <cmath>

namespace tern {
namespace {

// What was measured halves about every 7 seconds.
constexpr int kMemorySeconds = 10;
constexpr absl::Duration kMemory = absl::Seconds(kMemorySeconds);
constexpr double kMostTimesSlower = 4;
// Weights of a new value, and how many deviations are rather too long: those of
// TCP's retransmission timer (RFC 6298).
constexpr double kAverageGain = 1.0 / 8;
constexpr double kDeviationGain = 1.0 / 4;
constexpr double kDeviations = 4;

}  // namespace

void Pace::Observe(int tokens, absl::Time taken_at, absl::Time now) {
  if (2 * tokens < max_batch_tokens_) return;
  const bool first = seconds_ <= 0;
  // Workers overlap: count the time since the last measurement only once.
  double seconds =
      absl::ToDoubleSeconds(now - std::max(taken_at, measured_at_));
  double batch = absl::ToDoubleSeconds(now - taken_at) / tokens;
  if (first) {
    seconds_per_token_ = batch;
    deviation_ = batch / 2;
  } else {
    seconds = std::min(seconds, kMostTimesSlower * tokens * seconds_ / tokens_);
    batch = std::min(batch, kMostTimesSlower * seconds_per_token_);
    const double distance = std::abs(batch - seconds_per_token_);
    deviation_ += kDeviationGain * (distance - deviation_);
    seconds_per_token_ += kAverageGain * (batch - seconds_per_token_);
  }
  const double kept = std::exp(-seconds / kMemorySeconds);
  tokens_ = tokens_ * kept + tokens;
  seconds_ = seconds_ * kept + seconds;
  measured_at_ = now;
}

bool Pace::known(absl::Time now) const {
  return seconds_ > 0 && now - measured_at_ <= kMemory;
}

absl::Duration Pace::TimeOf(int64_t tokens, absl::Time now) const {
  if (!known(now)) return absl::ZeroDuration();
  return absl::Seconds(static_cast<double>(tokens) * seconds_ / tokens_);
}

absl::Duration Pace::BatchTime(int64_t tokens, absl::Time now) const {
  if (!known(now)) return absl::ZeroDuration();
  return absl::Seconds(
      static_cast<double>(std::min<int64_t>(tokens, max_batch_tokens_)) *
      (seconds_per_token_ + kDeviations * deviation_));
}

}  // namespace tern

// How fast workers compute, measured, so that finishing times can be foreseen.
//
// Only batches that are at least half full count: the time of a small one is
// mostly that of a pass, and says little about a token's. A full queue makes
// full batches, so the pace is known when it matters.
//
// A single slow batch (a frozen process, a page fault storm) counts as at most
// four usual ones, and what was measured is forgotten after ten seconds without
// news: else a wrong pace would refuse the very requests that correct it.
//
// Thread-compatible.

#ifndef TERN_SERVER_PACE_H_
#define TERN_SERVER_PACE_H_

#include <cstdint>

#include "absl/time/time.h"

namespace tern {

class Pace {
 public:
  explicit Pace(int max_batch_tokens) : max_batch_tokens_(max_batch_tokens) {}

  // A batch of so many tokens was taken then, and ended now.
  void Observe(int tokens, absl::Time taken_at, absl::Time now);

  bool known(absl::Time now) const;
  // In which all workers together compute so many tokens; 0 if not known.
  absl::Duration TimeOf(int64_t tokens, absl::Time now) const;
  // In which one of them computes a batch: rather too long than too short. 0 if
  // not known.
  absl::Duration BatchTime(int64_t tokens, absl::Time now) const;

 private:
  const int max_batch_tokens_;
  absl::Time measured_at_ = absl::InfinitePast();
  // Computed by all workers, and the time it took, both fading.
  double tokens_ = 0;
  double seconds_ = 0;
  // Of a batch, per token: average and average distance from it, both fading.
  double seconds_per_token_ = 0;
  double deviation_ = 0;
};

}  // namespace tern

#endif  // TERN_SERVER_PACE_H_

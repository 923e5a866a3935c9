// How far a run is, for people: on a terminal one line that is rewritten, else
// a line now and then.
//
// One thread.

#ifndef TERN_TRAIN_PROGRESS_BAR_H_
#define TERN_TRAIN_PROGRESS_BAR_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace tern {

class ProgressBar {
 public:
  // Of `total` of what `unit` names, e.g. "steps"; `done` of them were done by
  // an earlier run.
  ProgressBar(std::string title, std::string unit, int64_t done, int64_t total);
  // Ends the line, so that what is printed next has its own.
  ~ProgressBar();

  // Shows how many are done and `state`, e.g. "loss 0.213", not more often than
  // people can read.
  void Show(int64_t done, absl::string_view state);

  // Prints a line that stays.
  void Say(absl::string_view line);

 private:
  std::string Line(int64_t done, absl::string_view state, absl::Time now) const;

  const std::string title_;
  const std::string unit_;
  const int64_t first_;
  const int64_t total_;
  const bool terminal_;
  const absl::Time start_;
  absl::Time shown_ = absl::InfinitePast();
  int64_t shown_done_ = -1;
  bool line_is_open_ = false;
};

}  // namespace tern

#endif  // TERN_TRAIN_PROGRESS_BAR_H_

#include "train/progress_bar.h"

#include <unistd.h>

#include <cstdio>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"

namespace tern {
namespace {

constexpr int kBarColumns = 24;
constexpr absl::Duration kTerminalInterval = absl::Milliseconds(200);
constexpr absl::Duration kLogInterval = absl::Seconds(30);

// "1:02:03" or "2:03".
std::string ClockTime(absl::Duration duration) {
  const int64_t seconds = absl::ToInt64Seconds(duration);
  if (seconds >= 3600) {
    return absl::StrFormat("%d:%02d:%02d", seconds / 3600, seconds / 60 % 60,
                           seconds % 60);
  }
  return absl::StrFormat("%d:%02d", seconds / 60, seconds % 60);
}

}  // namespace

ProgressBar::ProgressBar(std::string title, std::string unit, int64_t done,
                         int64_t total)
    : title_(std::move(title)),
      unit_(std::move(unit)),
      first_(done),
      total_(total),
      terminal_(isatty(STDERR_FILENO) != 0),
      start_(absl::Now()) {}

ProgressBar::~ProgressBar() {
  if (line_is_open_) std::fputc('\n', stderr);
}

std::string ProgressBar::Line(int64_t done, absl::string_view state,
                              absl::Time now) const {
  const double share = total_ == 0 ? 1 : static_cast<double>(done) / total_;
  const int filled = static_cast<int>(share * kBarColumns);
  const double seconds = absl::ToDoubleSeconds(now - start_);
  const double rate = seconds > 0 ? (done - first_) / seconds : 0;
  std::string line = absl::StrFormat(
      "%s [%s%s] %d/%d  %s%.2f %s/s", title_, std::string(filled, '='),
      std::string(kBarColumns - filled, ' '), done, total_,
      state.empty() ? "" : absl::StrCat(state, "  "), rate, unit_);
  if (rate > 0) {
    absl::StrAppend(&line, "  ETA ",
                    ClockTime(absl::Seconds((total_ - done) / rate)));
  }
  return line;
}

void ProgressBar::Show(int64_t done, absl::string_view state) {
  const absl::Time now = absl::Now();
  const absl::Duration interval = terminal_ ? kTerminalInterval : kLogInterval;
  const bool just_ended = done == total_ && shown_done_ != total_;
  if (now - shown_ < interval && !just_ended) return;
  shown_ = now;
  shown_done_ = done;
  const std::string line = Line(done, state, now);
  if (terminal_) {
    absl::FPrintF(stderr, "\r\033[K%s", line);
    line_is_open_ = true;
  } else {
    absl::FPrintF(stderr, "%s\n", line);
  }
  std::fflush(stderr);
}

void ProgressBar::Say(absl::string_view line) {
  absl::FPrintF(stderr, "%s%s\n", terminal_ ? "\r\033[K" : "", line);
  line_is_open_ = false;
}

}  // namespace tern

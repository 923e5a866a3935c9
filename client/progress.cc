#include "client/progress.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <string>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"

namespace tern {
namespace {

constexpr char kClearLine[] = "\r\033[K";

int64_t StdinFileBytes() {
  struct stat file = {};
  const bool is_file = fstat(STDIN_FILENO, &file) == 0 && S_ISREG(file.st_mode);
  return is_file ? static_cast<int64_t>(file.st_size) : 0;
}

}  // namespace

Progress::Progress()
    : shown_(isatty(STDERR_FILENO) && !isatty(STDOUT_FILENO) &&
             !isatty(STDIN_FILENO)),
      total_bytes_(StdinFileBytes()),
      start_(absl::Now()) {}

Progress::~Progress() {
  if (drawn_) std::fputs(kClearLine, stderr);
}

void Progress::Update(int64_t texts, int64_t bytes) {
  const absl::Time now = absl::Now();
  if (!shown_ || now - last_update_ < absl::Milliseconds(100)) return;
  last_update_ = now;
  drawn_ = true;
  std::string line = kClearLine;
  if (total_bytes_ > 0) {
    constexpr int kBarWidth = 30;
    const double part =
        std::min(1.0, static_cast<double>(bytes) / total_bytes_);
    const int filled = static_cast<int>(part * kBarWidth);
    absl::StrAppendFormat(&line, "[%s%s] %3.0f%%  ", std::string(filled, '='),
                          std::string(kBarWidth - filled, ' '), 100 * part);
  }
  const double seconds = absl::ToDoubleSeconds(now - start_);
  absl::StrAppendFormat(&line, "%d texts  %.0f/s", texts,
                        seconds > 0 ? texts / seconds : 0.0);
  std::fputs(line.c_str(), stderr);
}

}  // namespace tern

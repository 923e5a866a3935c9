// A progress line on stderr, for long inputs.
//
// Shown where stderr is a terminal and the answers go elsewhere; silent
// otherwise.
//
// One thread.

#ifndef TERN_CLIENT_PROGRESS_H_
#define TERN_CLIENT_PROGRESS_H_

#include <cstdint>

#include "absl/time/time.h"

namespace tern {

class Progress {
 public:
  Progress();
  ~Progress();  // clears the line
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // `texts` are answered, `bytes` of stdin are read.
  void Update(int64_t texts, int64_t bytes);

 private:
  const bool shown_;
  const int64_t total_bytes_;  // of stdin; 0 if it is no file
  const absl::Time start_;
  absl::Time last_update_ = absl::InfinitePast();
  bool drawn_ = false;
};

}  // namespace tern

#endif  // TERN_CLIENT_PROGRESS_H_

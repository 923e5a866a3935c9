// The log of a run: one JSON object a line.
//
// One thread.

#ifndef TERN_TRAIN_RUN_LOG_H_
#define TERN_TRAIN_RUN_LOG_H_

#include <cstdint>
#include <fstream>
#include <string>

#include "absl/status/status.h"
#include "nlohmann/json.hpp"

namespace tern {

class RunLog {
 public:
  // Opens the log. Lines of an earlier run whose "step" is past `step` are
  // dropped: a resumed run does those steps again. -1 drops all.
  // Errors: what errno says.
  absl::Status Open(const std::string& path, int64_t step);

  // Appends a line that outlives a crash of this process.
  // Errors: UNAVAILABLE where it cannot be written, as on a full disk.
  absl::Status Write(const nlohmann::json& line);

 private:
  absl::Status Check() const;

  std::string path_;
  std::ofstream file_;
};

}  // namespace tern

#endif  // TERN_TRAIN_RUN_LOG_H_

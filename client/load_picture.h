// A picture of latency against load, as SVG.

#ifndef TERN_CLIENT_LOAD_PICTURE_H_
#define TERN_CLIENT_LOAD_PICTURE_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace tern {

struct LoadPoint {
  double calls_per_second = 0;
  double p50_seconds = 0;
  double p99_seconds = 0;
  bool is_knee = false;
};

// `points` by growing load, at least one, latencies above 0. Latency is on a
// logarithmic axis; the knee is marked.
std::string DrawLoad(absl::string_view title,
                     const std::vector<LoadPoint>& points);

}  // namespace tern

#endif  // TERN_CLIENT_LOAD_PICTURE_H_

// How many threads a program takes where nobody says.

#ifndef TERN_FLAGS_EFFECTIVE_CORES_H_
#define TERN_FLAGS_EFFECTIVE_CORES_H_

#include <string>

namespace tern {

// The cores that this process may use: those of its affinity mask, or fewer
// where a cgroup (version 2 or 1) above it has a CPU quota; at least 1.
// A quota of 1.5 cores counts as 1: a second thread would be throttled.
// `root` is where proc and sys are mounted.
int EffectiveCores(const std::string& root = "");

}  // namespace tern

#endif  // TERN_FLAGS_EFFECTIVE_CORES_H_

// A kernel variant that times its own calls.
//
// The engine takes it in place of the one that it stands for
// (EngineOptions::kernels) and so shows where a pass spends its time, while
// engines that serve carry no measuring at all.
//
// Thread-safe, but there is one such variant in a process.

#ifndef TERN_BENCH_PROFILED_KERNELS_H_
#define TERN_BENCH_PROFILED_KERNELS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/variant.h"

namespace tern {

// All calls of one kernel; of the ternary product, of one shape [n, k].
struct KernelTimes {
  std::string name;  // "linear 3072x768", "attention", ...
  int64_t calls = 0;
  double seconds = 0;  // of all threads together
  // Of ternary products; attention's are counted too, if int8.
  double multiply_adds = 0;
  double weight_bytes = 0;  // packed codes that the calls read
};

// `variant` with a clock around each function; it outlives the process's use
// of the result.
const Variant* ProfiledKernels(const Variant& variant);

// The calls since the last one of this, longest first.
std::vector<KernelTimes> TakeKernelTimes();

}  // namespace tern

#endif  // TERN_BENCH_PROFILED_KERNELS_H_

// What this machine can do at best: the yardsticks of the benchmarks.
//
// Measured, not looked up, and in the same run as what is compared with them:
// on a shared machine both come and go with the neighbours.
//
// Thread-safe.

#ifndef TERN_BENCH_REGISTER_PEAK_H_
#define TERN_BENCH_REGISTER_PEAK_H_

#include "absl/strings/string_view.h"

namespace tern {

// Of this thread's CPU, so that neighbours who take turns on it do not count.
double ThreadCpuSeconds();

// Multiply-adds a second of one core on registers alone, the best of 20 tries
// of tens of microseconds; 0 where the CPU lacks the instruction.
double MaddubsPeak();  // 256-bit vpmaddubsw, then vpaddw
double DpbusdPeak();   // 512-bit vpdpbusd
double TdpbusdPeak();  // tdpbusd on tiles of 16 rows x 64 bytes

// The peak of the instruction that the variant of this name sums products
// with; 0 where there is none.
double PeakOfVariant(absl::string_view variant);

// Bytes a second that `threads` threads together read from memory: from
// buffers, 64 MB a thread, that no cache keeps.
double ReadBandwidth(int threads);

}  // namespace tern

#endif  // TERN_BENCH_REGISTER_PEAK_H_

#include "bench/register_peak.h"

#include <time.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <numeric>
#include <thread>
#include <vector>

#include "kernels/variant.h"

namespace tern {
namespace {

#define TERN_TWELVE(step)                                                 \
  step(0) step(1) step(2) step(3) step(4) step(5) step(6) step(7) step(8) \
      step(9) step(10) step(11)
#define TERN_CLOBBERS                                                     \
  "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", \
      "xmm9", "xmm10", "xmm11", "xmm12", "xmm15", "cc"

constexpr long kPeakSteps = 5000;
constexpr double kStepsAtOnce = 12;
constexpr int kTries = 20;

double MaddubsOnce() {
  long steps = kPeakSteps;
  const double start = ThreadCpuSeconds();
#define TERN_STEP(i)                         \
  "vpmaddubsw %%ymm15, %%ymm15, %%ymm12\n\t" \
  "vpaddw %%ymm12, %%ymm" #i ", %%ymm" #i "\n\t"
  asm volatile("vpxor %%ymm15, %%ymm15, %%ymm15\n\t"
               "1:\n\t" TERN_TWELVE(TERN_STEP) "dec %0\n\t"
               "jnz 1b\n\t"
               "vzeroupper"
               : "+r"(steps)
               :
               : TERN_CLOBBERS);
#undef TERN_STEP
  return kPeakSteps * kStepsAtOnce * 32 / (ThreadCpuSeconds() - start);
}

double DpbusdOnce() {
  long steps = kPeakSteps;
  const double start = ThreadCpuSeconds();
#define TERN_STEP(i) "vpdpbusd %%zmm15, %%zmm15, %%zmm" #i "\n\t"
  asm volatile("vpxor %%xmm15, %%xmm15, %%xmm15\n\t"
               "1:\n\t" TERN_TWELVE(TERN_STEP) "dec %0\n\t"
               "jnz 1b\n\t"
               "vzeroupper"
               : "+r"(steps)
               :
               : TERN_CLOBBERS);
#undef TERN_STEP
  return kPeakSteps * kStepsAtOnce * 64 / (ThreadCpuSeconds() - start);
}

double TdpbusdOnce() {
  struct alignas(64) {
    uint8_t palette = 1;
    uint8_t unused[15] = {};
    uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
  } config;
  long steps = kPeakSteps;
  const double start = ThreadCpuSeconds();
  asm volatile(
      "ldtilecfg %1\n\t"
      "1:\n\t"
      "tdpbusd %%tmm6, %%tmm4, %%tmm0\n\t"
      "tdpbusd %%tmm7, %%tmm4, %%tmm1\n\t"
      "tdpbusd %%tmm6, %%tmm5, %%tmm2\n\t"
      "tdpbusd %%tmm7, %%tmm5, %%tmm3\n\t"
      "dec %0\n\t"
      "jnz 1b\n\t"
      "tilerelease"
      : "+r"(steps)
      : "m"(config)
      : "cc");
  constexpr double kMultiplications = 4 * 16 * 16 * 64;
  return kPeakSteps * kMultiplications / (ThreadCpuSeconds() - start);
}

// Neighbours on the machine only ever slow a try down.
template <typename Try>
double BestOf(const Try& once) {
  double best = 0;
  for (int i = 0; i < kTries; ++i) best = std::max(best, once());
  return best;
}

}  // namespace

double ThreadCpuSeconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return now.tv_sec + 1e-9 * now.tv_nsec;
}

double MaddubsPeak() {
  return __builtin_cpu_supports("avx2") ? BestOf(MaddubsOnce) : 0;
}

double DpbusdPeak() {
  return __builtin_cpu_supports("avx512vnni") ? BestOf(DpbusdOnce) : 0;
}

double TdpbusdPeak() {
  return ChooseVariant("amx").ok() ? BestOf(TdpbusdOnce) : 0;
}

double PeakOfVariant(absl::string_view variant) {
  if (variant == "avx2") return MaddubsPeak();
  if (variant == "avx512_vnni") return DpbusdPeak();
  if (variant == "amx") return TdpbusdPeak();
  return 0;
}

double ReadBandwidth(int threads) {
  constexpr size_t kWords = (64 << 20) / sizeof(uint64_t);
  constexpr int kPasses = 4;
  std::atomic<int> ready{0};
  std::atomic<uint64_t> sum{0};
  std::vector<double> seconds(threads);
  std::vector<std::thread> readers;
  for (int thread = 0; thread < threads; ++thread) {
    readers.emplace_back([&, thread] {
      const std::vector<uint64_t> words(kWords, thread);
      ++ready;
      while (ready < threads) std::this_thread::yield();
      const auto start = std::chrono::steady_clock::now();
      for (int pass = 0; pass < kPasses; ++pass) {
        sum += std::accumulate(words.begin(), words.end(), uint64_t{0});
      }
      seconds[thread] = std::chrono::duration<double>(
                            std::chrono::steady_clock::now() - start)
                            .count();
    });
  }
  for (std::thread& reader : readers) reader.join();
  return sizeof(uint64_t) * double{kWords} * kPasses * threads /
         *std::max_element(seconds.begin(), seconds.end());
}

}  // namespace tern

#include "server/memory_trimmer.h"

#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

namespace tern {
namespace {

// Below a twentieth a trim is not worth its page faults.
constexpr int kSlackDivisor = 20;
// Changes below a hundredth are no growth.
constexpr int kRestDivisor = 100;

}  // namespace

int64_t ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  int64_t pages = 0, resident_pages = 0;
  statm >> pages >> resident_pages;
  return resident_pages * sysconf(_SC_PAGESIZE);
}

bool TrimPolicy::Look(int64_t resident) {
  const bool grows = resident > last_ + last_ / kRestDivisor;
  last_ = resident;
  floor_ = floor_ == 0 ? resident : std::min(floor_, resident);
  return !grows && resident > floor_ + floor_ / kSlackDivisor;
}

void TrimPolicy::Trimmed(int64_t resident) { floor_ = last_ = resident; }

MemoryTrimmer::MemoryTrimmer(absl::Duration period)
    : period_(period), thread_([this] { Run(); }) {}

MemoryTrimmer::~MemoryTrimmer() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stop_.notify_all();
  thread_.join();
}

void MemoryTrimmer::Run() {
  TrimPolicy policy;
  std::unique_lock lock(mutex_);
  while (!stop_.wait_for(
      lock, absl::ToChronoNanoseconds(period_),
      [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return stopping_; })) {
    if (!policy.Look(ResidentBytes())) continue;
    malloc_trim(/*pad=*/0);
    policy.Trimmed(ResidentBytes());
  }
}

}  // namespace tern

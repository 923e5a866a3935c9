#include "flags/effective_cores.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"

namespace tern {
namespace {

constexpr double kNoQuota = std::numeric_limits<double>::infinity();

std::string FirstLine(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// quota / period, of two decimal numbers of microseconds.
double QuotaCores(absl::string_view quota, absl::string_view period) {
  double quota_us = 0, period_us = 0;
  if (!absl::SimpleAtod(quota, &quota_us) || quota_us <= 0) return kNoQuota;
  if (!absl::SimpleAtod(period, &period_us) || period_us <= 0) return kNoQuota;
  return quota_us / period_us;
}

// cpu.max: "max 100000" or "150000 100000".
double QuotaV2(const std::string& folder) {
  const std::vector<std::string> fields =
      absl::StrSplit(FirstLine(folder + "/cpu.max"), ' ');
  return fields.size() == 2 ? QuotaCores(fields[0], fields[1]) : kNoQuota;
}

double QuotaV1(const std::string& folder) {
  return QuotaCores(FirstLine(folder + "/cpu.cfs_quota_us"),
                    FirstLine(folder + "/cpu.cfs_period_us"));
}

// The least quota of a cgroup and those above it.
double LeastQuota(const std::string& mount, std::string cgroup,
                  double (*quota)(const std::string& folder)) {
  double cores = quota(mount);
  while (!cgroup.empty() && cgroup != "/") {
    cores = std::min(cores, quota(mount + cgroup));
    cgroup.resize(cgroup.rfind('/'));
  }
  return cores;
}

// Lines of /proc/self/cgroup are "<id>:<controllers>:<path>"; version 2 has
// one, "0::<path>". A path may lie outside of what a container sees mounted;
// then only the mount's own files are found, which are the container's.
double CgroupQuotaCores(const std::string& root) {
  double cores = kNoQuota;
  std::ifstream cgroups(root + "/proc/self/cgroup");
  for (std::string line; std::getline(cgroups, line);) {
    const std::vector<std::string> fields =
        absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (fields.size() != 3) continue;
    const std::string mounts = root + "/sys/fs/cgroup";
    if (fields[1].empty()) {
      cores = std::min(cores, LeastQuota(mounts, fields[2], QuotaV2));
    }
    for (absl::string_view controller : absl::StrSplit(fields[1], ',')) {
      if (controller != "cpu") continue;
      for (absl::string_view mount :
           {absl::string_view("cpu"), absl::string_view(fields[1])}) {
        cores = std::min(cores, LeastQuota(absl::StrCat(mounts, "/", mount),
                                           fields[2], QuotaV1));
      }
    }
  }
  return cores;
}

int AffinityCores() {
  // A kernel of more CPUs than the set has room for refuses it.
  for (int cpus = CPU_SETSIZE; cpus <= 1 << 20; cpus *= 2) {
    cpu_set_t* const set = CPU_ALLOC(cpus);
    const size_t bytes = CPU_ALLOC_SIZE(cpus);
    const bool known = sched_getaffinity(0, bytes, set) == 0;
    const int count = known ? CPU_COUNT_S(bytes, set) : 0;
    CPU_FREE(set);
    if (known) return count;
  }
  return 1;
}

}  // namespace

int EffectiveCores(const std::string& root) {
  const double quota = std::floor(CgroupQuotaCores(root));
  return static_cast<int>(
      std::max(1.0, std::min<double>(AffinityCores(), quota)));
}

}  // namespace tern

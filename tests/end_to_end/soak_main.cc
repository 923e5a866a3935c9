// The program of script/soak and script/verify soak-short.
//
//   soak --classifier=FOLDER --time=30m
//
// Traffic of all kinds on two servers, while models, certificates and tokens
// change and one of the servers is restarted. Prints a table of the other one:
// a line per window with the resident memory, the open files, the threads and
// the latencies of plain calls. Exits 0 only where nothing ended otherwise than
// it should; script/soak judges the table.

#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/end_to_end/soak_events.h"
#include "tests/end_to_end/soak_traffic.h"

ABSL_FLAG(std::string, classifier, "", "A classifier's folder.");
ABSL_FLAG(absl::Duration, time, absl::Minutes(30), "How long.");
ABSL_FLAG(absl::Duration, window, absl::Seconds(5), "Time of a line.");

namespace tern {
namespace {

double ResidentMib(pid_t process) {
  std::ifstream statm(absl::StrCat("/proc/", process, "/statm"));
  int64_t pages = 0, resident_pages = 0;
  statm >> pages >> resident_pages;
  return static_cast<double>(resident_pages * sysconf(_SC_PAGESIZE)) /
         (1 << 20);
}

int64_t CountEntries(const std::string& folder) {
  std::error_code error;
  return std::distance(std::filesystem::directory_iterator(folder, error), {});
}

double Milliseconds(const std::vector<absl::Duration>& sorted, double part) {
  if (sorted.empty()) return 0;
  return absl::ToDoubleMilliseconds(
      sorted[static_cast<size_t>(part * (sorted.size() - 1))]);
}

void PrintLine(absl::Duration since_start, pid_t server, SoakTraffic& traffic,
               int events, int64_t errors) {
  const std::string process = absl::StrCat("/proc/", server);
  const auto durations = traffic.TakeDurations();
  std::printf("%.0f\t%lld\t%d\t%lld\t%.1f\t%lld\t%lld\t%.2f\t%.2f\n",
              absl::ToDoubleSeconds(since_start),
              static_cast<long long>(traffic.calls()), events,
              static_cast<long long>(errors), ResidentMib(server),
              static_cast<long long>(CountEntries(process + "/fd")),
              static_cast<long long>(CountEntries(process + "/task")),
              Milliseconds(durations, 0.5), Milliseconds(durations, 0.99));
  std::fflush(stdout);
}

int RunSoak() {
  SoakErrors errors;
  SoakEvents events;
  if (absl::Status started = events.Start(absl::GetFlag(FLAGS_classifier));
      !started.ok()) {
    std::fprintf(stderr, "soak: %s\n", started.ToString().c_str());
    return 1;
  }
  const pid_t server = events.watched().process().id();
  const absl::Time start = absl::Now();
  const absl::Time end = start + absl::GetFlag(FLAGS_time);
  std::atomic<int> happened = 0;
  {
    SoakTraffic traffic(events.target(), &errors);
    std::printf(
        "seconds\tcalls\tevents\terrors\tresident_mib\tfiles\tthreads\tp50_ms\t"
        "p99_ms\n");
    std::thread table([&] {
      while (absl::Now() < end) {
        absl::SleepFor(absl::GetFlag(FLAGS_window));
        PrintLine(absl::Now() - start, server, traffic, happened,
                  errors.count());
      }
    });
    // On this thread: a server dies with the thread that started it.
    while (absl::Now() < end) {
      const auto [what, status] = events.Next();
      errors.Add(what, status);
      ++happened;
      absl::SleepFor(absl::Seconds(1));
    }
    table.join();
  }
  errors.Add("end", events.Stop());
  return errors.count() == 0 ? 0 : 1;
}

}  // namespace
}  // namespace tern

int main(int argc, char** argv) {
  absl::ParseCommandLine(argc, argv);
  return tern::RunSoak();
}

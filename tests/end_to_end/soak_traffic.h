// The traffic of a soak: calls of many kinds without an end, each of which may
// end in certain ways only.

#ifndef TERN_TESTS_END_TO_END_SOAK_TRAFFIC_H_
#define TERN_TESTS_END_TO_END_SOAK_TRAFFIC_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace tern {

// What nobody can explain. Thread-safe.
class SoakErrors {
 public:
  // Counts an error; the first few are printed. OK is none.
  void Add(absl::string_view what, const absl::Status& status);
  int64_t count() const { return count_; }

 private:
  std::atomic<int64_t> count_ = 0;
};

struct SoakTarget {
  std::string watched;  // the server that lives as long as the soak
  std::string both;     // it and the one that is restarted
  std::string http;     // of the first
  std::string root_file;
  std::string token_file;
  std::string token;  // what is in that file
};

// Serves as long as it lives. The models are "sst2", "answerer", "embedder",
// and "guest", a classifier that comes and goes.
class SoakTraffic {
 public:
  SoakTraffic(const SoakTarget& target, SoakErrors* errors);
  ~SoakTraffic();
  SoakTraffic(const SoakTraffic&) = delete;
  SoakTraffic& operator=(const SoakTraffic&) = delete;

  int64_t calls() const { return calls_; }
  // Durations of the plain calls to the watched server since it was last
  // asked, sorted.
  std::vector<absl::Duration> TakeDurations();

 private:
  // Makes one call; an error is one that must not be.
  using Caller = std::function<absl::Status()>;
  void Start(absl::string_view kind, absl::Duration pause, Caller call);
  void StartGoodCalls();
  void StartCallsThatEndEarly();
  void StartBadCalls();

  const SoakTarget target_;
  SoakErrors* const errors_;
  std::atomic<bool> stop_ = false;
  std::atomic<int64_t> calls_ = 0;
  std::mutex mutex_;
  std::vector<absl::Duration> durations_;  // guarded by mutex_
  std::vector<std::thread> threads_;
};

}  // namespace tern

#endif  // TERN_TESTS_END_TO_END_SOAK_TRAFFIC_H_

// What the server tells Prometheus about itself; docs/metrics.md lists it.
//
// Calls and batches are observed as they happen; queue, accounting and process
// metrics are read when Prometheus asks. Only metrics.cc knows the client
// library.
//
// Thread-safe.

#ifndef TERN_SERVER_METRICS_H_
#define TERN_SERVER_METRICS_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/model_registry.h"
#include "server/scheduler.h"

namespace tern {

// Where a call's time went; a stage that it did not reach has none.
struct StageTimes {
  absl::Duration tokenize = absl::ZeroDuration();
  absl::Duration queue = absl::ZeroDuration();
  absl::Duration compute = absl::ZeroDuration();
  absl::Duration total = absl::ZeroDuration();
};

// What has been observed of a model since the start, all versions together.
struct ModelTotals {
  struct Times {
    int64_t count = 0;
    absl::Duration sum = absl::ZeroDuration();
  };
  // Calls, by how they ended, and by the stages that they reached.
  Times answered, failed, tokenize, queue, compute;
  int64_t sequences = 0;  // in the batches
  int64_t batches = 0;
};

class Metrics {
 public:
  // Reports the counts of `scheduler`, which outlives this; null: none.
  explicit Metrics(const Scheduler* scheduler);
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  // Serves /metrics on `address`, a host and port (0: any free one), and
  // returns the port. Where `allow` is not null, it decides by the password
  // (of HTTP's basic authentication, with any user name) whether to answer.
  // Errors: UNAVAILABLE where it cannot listen there.
  absl::StatusOr<int> Listen(
      const std::string& address,
      const std::function<bool(const std::string& password)>& allow = nullptr);

  // A call that ended with `code`. `model` is null where none was found.
  void ObserveCall(absl::string_view method, const ServedModel* model,
                   absl::StatusCode code, const StageTimes& times);
  // A call that was not accepted; `reason` is a fixed word, e.g. queue_full.
  void CountRejected(absl::string_view reason);
  // A batch that a worker computed in `compute`.
  void ObserveBatch(const Work& work, absl::Duration compute);
  // Sets which models are served; those that were and are not, it forgets.
  // One thread at a time.
  void SetModels(const ModelRegistry::Models& models);
  // A model that was loaded, or refused: a version that cannot be served.
  void CountLoad(const std::string& model, bool loaded);
  // A connection that was closed at once for lack of files.
  void CountRefusedConnection();
  // One of HTTP that the server ended; `reason` is a fixed word.
  void CountClosedHttpConnection(absl::string_view reason);
  // Workers that the watchdog found stuck.
  void SetStuckWorkers(int workers);
  // Of the certificate that the server shows.
  void SetCertificateExpiration(absl::Time expires_at);
  // `what` ("tls", "tokens") has changed on disk; whether it was good.
  void CountCredentialsRead(absl::string_view what, bool taken);

  ModelTotals TotalsOf(absl::string_view model) const;

  // What /metrics answers.
  std::string Text() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tern

#endif  // TERN_SERVER_METRICS_H_

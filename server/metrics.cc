#include "server/metrics.h"

#include <sys/resource.h>
#include <unistd.h>

#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "flags/version.h"
#include "prometheus/counter.h"
#include "prometheus/exposer.h"
#include "prometheus/family.h"
#include "prometheus/gauge.h"
#include "prometheus/histogram.h"
#include "prometheus/registry.h"
#include "prometheus/text_serializer.h"
#include "server/status_mapping.h"

namespace tern {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

// Seconds, as gRFC A66 fixes them for gRPC's own latencies.
const prometheus::Histogram::BucketBoundaries kLatencyBuckets = {
    0.00001, 0.00005, 0.0001, 0.0003, 0.0006, 0.0008, 0.001, 0.002,
    0.003,   0.004,   0.005,  0.006,  0.008,  0.01,   0.013, 0.016,
    0.02,    0.025,   0.03,   0.04,   0.05,   0.065,  0.08,  0.1,
    0.13,    0.16,    0.2,    0.25,   0.3,    0.4,    0.5,   0.65,
    0.8,     1,       2,      5,      10,     20,     50,    100};
const prometheus::Histogram::BucketBoundaries kTokenBuckets = {
    8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384};
const prometheus::Histogram::BucketBoundaries kSequenceBuckets = {
    1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024};

const char* const kOtherTenants = "other";

ClientMetric Sample(
    MetricType type, double value,
    std::vector<std::pair<std::string, std::string>> labels = {}) {
  ClientMetric metric;
  (type == MetricType::Counter ? metric.counter.value : metric.gauge.value) =
      value;
  for (auto& [name, label] : labels) metric.label.push_back({name, label});
  return metric;
}

MetricFamily Single(std::string name, std::string help, MetricType type,
                    double value) {
  return {std::move(name), std::move(help), type, {Sample(type, value)}};
}

// What the busiest tenants used, and all others together.
void AddTenants(const TenantCounts& tenants,
                std::vector<MetricFamily>& families) {
  const auto counter = MetricType::Counter;
  MetricFamily requests = {
      "tern_tenant_requests_total",
      "Requests by tenant, and whether they were accepted.",
      counter,
      {}};
  MetricFamily tokens = {"tern_tenant_computed_tokens_total",
                         "Tokens computed by tenant.",
                         counter,
                         {}};
  const auto add = [&](const std::string& name,
                       const TenantCounts::Entry& entry) {
    requests.metric.push_back(Sample(counter,
                                     static_cast<double>(entry.accepted),
                                     {{"tenant", name}, {"accepted", "true"}}));
    requests.metric.push_back(
        Sample(counter, static_cast<double>(entry.refused),
               {{"tenant", name}, {"accepted", "false"}}));
    tokens.metric.push_back(Sample(counter,
                                   static_cast<double>(entry.computed_tokens),
                                   {{"tenant", name}}));
  };
  for (const auto& [name, entry] : tenants.top()) {
    // Names are the clients' own: none may pass for the sum of the others,
    // nor for another one's name in quotes.
    const bool quoted =
        name.empty() || name == kOtherTenants || name[0] == '\'';
    add(quoted ? absl::StrCat("'", name, "'") : name, entry);
  }
  add(kOtherTenants, tenants.others());
  families.push_back(std::move(requests));
  families.push_back(std::move(tokens));
}

// The scheduler's counts, all of one moment.
class SchedulerCollector : public prometheus::Collectable {
 public:
  explicit SchedulerCollector(const Scheduler* scheduler)
      : scheduler_(scheduler) {}

  std::vector<MetricFamily> Collect() const override {
    if (scheduler_ == nullptr) return {};
    const Scheduler::Counts counts = scheduler_->counts();
    const auto counter = MetricType::Counter;
    const auto gauge = MetricType::Gauge;
    MetricFamily ended = {
        "tern_requests_ended_total",
        "Accepted requests that have ended, by outcome.",
        counter,
        {Sample(counter, counts.answered, {{"outcome", "answered"}}),
         Sample(counter, counts.failed, {{"outcome", "failed"}}),
         Sample(counter, counts.cancelled, {{"outcome", "cancelled"}}),
         Sample(counter, counts.expired, {{"outcome", "expired"}})}};
    std::vector<MetricFamily> families = {
        Single("tern_requests_accepted_total",
               "Requests taken into the queue; equals those ended plus those "
               "in flight.",
               counter, counts.accepted),
        std::move(ended),
        Single("tern_requests_in_flight",
               "Requests accepted and not ended yet.", gauge, counts.in_flight),
        Single("tern_queue_requests",
               "Requests with sequences that no worker has taken.", gauge,
               counts.waiting_requests),
        Single("tern_queue_tokens", "Tokens of these sequences.", gauge,
               counts.waiting_tokens),
        Single("tern_queue_bytes", "Memory of these requests in bytes.", gauge,
               counts.waiting_bytes),
        Single("tern_computed_tokens_total",
               "Tokens in batches that workers have ended.", counter,
               counts.computed_tokens),
        Single("tern_unawaited_tokens_total",
               "Tokens among them of requests that nobody awaited any more.",
               counter, counts.unawaited_tokens),
    };
    AddTenants(scheduler_->tenants(), families);
    return families;
  }

 private:
  const Scheduler* const scheduler_;
};

std::string ReadAll(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// What Prometheus' own client libraries tell about their process.
class ProcessCollector : public prometheus::Collectable {
 public:
  std::vector<MetricFamily> Collect() const override {
    // After the name in parentheses; fields counted from 3, as in proc(5).
    const std::string stat = ReadAll("/proc/self/stat");
    const std::vector<std::string> fields =
        absl::StrSplit(stat.substr(stat.rfind(')') + 1), ' ');
    const auto field = [&fields](size_t number) {
      double value = 0;
      if (number - 2 >= fields.size() ||
          !absl::SimpleAtod(fields[number - 2], &value)) {
        return 0.0;
      }
      return value;
    };
    const double ticks = sysconf(_SC_CLK_TCK);
    rlimit files{};
    getrlimit(RLIMIT_NOFILE, &files);
    std::error_code ignored;
    const double open_files = std::distance(
        std::filesystem::directory_iterator("/proc/self/fd", ignored), {});
    return {
        Single("process_cpu_seconds_total",
               "Total user and system CPU time spent in seconds.",
               MetricType::Counter, (field(14) + field(15)) / ticks),
        Single("process_start_time_seconds",
               "Start time of the process since unix epoch in seconds.",
               MetricType::Gauge, BootTime() + field(22) / ticks),
        Single("process_virtual_memory_bytes", "Virtual memory size in bytes.",
               MetricType::Gauge, field(23)),
        Single("process_resident_memory_bytes",
               "Resident memory size in bytes.", MetricType::Gauge,
               field(24) * sysconf(_SC_PAGESIZE)),
        Single("process_threads", "Number of OS threads in the process.",
               MetricType::Gauge, field(20)),
        Single("process_open_fds", "Number of open file descriptors.",
               MetricType::Gauge, open_files),
        Single("process_max_fds", "Maximum number of open file descriptors.",
               MetricType::Gauge, static_cast<double>(files.rlim_cur)),
    };
  }

 private:
  // Seconds since the epoch.
  static double BootTime() {
    std::ifstream file("/proc/stat");
    for (std::string line; std::getline(file, line);) {
      const std::pair<std::string, std::string> entry =
          absl::StrSplit(line, absl::MaxSplits(' ', 1));
      double seconds = 0;
      if (entry.first == "btime" && absl::SimpleAtod(entry.second, &seconds)) {
        return seconds;
      }
    }
    return 0;
  }
};

absl::string_view TaskName(Task task) {
  switch (task) {
    case Task::kSingleLabel:
      return "single_label_classification";
    case Task::kMultiLabel:
      return "multi_label_classification";
    case Task::kRegression:
      return "regression";
    case Task::kQuestionAnswering:
      return "question_answering";
    case Task::kEmbedding:
      return "embedding";
  }
  return "";
}

std::string LabelOf(const ClientMetric& metric, absl::string_view name) {
  for (const auto& label : metric.label) {
    if (label.name == name) return label.value;
  }
  return "";
}

// Calls `visit` with each metric of a family whose label "model" is `model`.
template <typename Visit>
void ForModel(const prometheus::Family<prometheus::Histogram>& histograms,
              absl::string_view model, Visit visit) {
  for (const MetricFamily& family : histograms.Collect()) {
    for (const ClientMetric& metric : family.metric) {
      if (LabelOf(metric, "model") == model) visit(metric);
    }
  }
}

// A metric of a model, and the family that it is removed from.
using ModelGauge =
    std::pair<prometheus::Family<prometheus::Gauge>*, prometheus::Gauge*>;

// Registers a family of metrics.
template <typename Builder>
auto& Add(prometheus::Registry& registry, Builder builder,
          const std::string& name, const std::string& help) {
  return builder.Name(name).Help(help).Register(registry);
}

}  // namespace

struct Metrics::Impl {
  explicit Impl(const Scheduler* watched)
      : scheduler(std::make_shared<SchedulerCollector>(watched)) {}

  std::shared_ptr<prometheus::Registry> registry =
      std::make_shared<prometheus::Registry>();
  std::shared_ptr<SchedulerCollector> scheduler;
  std::shared_ptr<ProcessCollector> process =
      std::make_shared<ProcessCollector>();
  std::unique_ptr<prometheus::Exposer> exposer;

  prometheus::Family<prometheus::Histogram>& call_seconds =
      Add(*registry, prometheus::BuildHistogram(), "tern_call_duration_seconds",
          "Time of calls in the server, by stage.");
  prometheus::Family<prometheus::Counter>& rejected =
      Add(*registry, prometheus::BuildCounter(), "tern_requests_rejected_total",
          "Requests that were not accepted, by reason.");
  prometheus::Family<prometheus::Histogram>& batch_seconds = Add(
      *registry, prometheus::BuildHistogram(), "tern_batch_duration_seconds",
      "Time in which a worker computed a batch.");
  prometheus::Family<prometheus::Histogram>& batch_tokens =
      Add(*registry, prometheus::BuildHistogram(), "tern_batch_tokens",
          "Tokens of the batches that workers ran.");
  prometheus::Family<prometheus::Histogram>& batch_sequences =
      Add(*registry, prometheus::BuildHistogram(), "tern_batch_sequences",
          "Sequences of the batches that workers ran.");
  prometheus::Family<prometheus::Gauge>& model_info =
      Add(*registry, prometheus::BuildGauge(), "tern_model_info",
          "A served model and how it runs; always 1.");
  prometheus::Family<prometheus::Gauge>& model_load_seconds =
      Add(*registry, prometheus::BuildGauge(), "tern_model_load_seconds",
          "Time in which a model was loaded.");
  prometheus::Gauge& stuck_workers =
      Add(*registry, prometheus::BuildGauge(), "tern_stuck_workers",
          "Workers that have worked on one batch for too long.")
          .Add({});
  prometheus::Counter& refused_connections =
      Add(*registry, prometheus::BuildCounter(),
          "tern_connections_refused_total",
          "Connections of gRPC that were closed at once, since the limit of "
          "open files is near.")
          .Add({});
  prometheus::Family<prometheus::Counter>& closed_http_connections =
      Add(*registry, prometheus::BuildCounter(),
          "tern_http_connections_closed_total",
          "Connections of HTTP that the server closed, since there were too "
          "many, no request came in full, or a response was not taken.");
  prometheus::Family<prometheus::Counter>& model_loads =
      Add(*registry, prometheus::BuildCounter(), "tern_model_loads_total",
          "Versions of models that were loaded, or refused.");
  std::set<ModelGauge> model_gauges;  // of the models that are served
  prometheus::Family<prometheus::Gauge>& certificate_expiration =
      Add(*registry, prometheus::BuildGauge(),
          "tern_tls_certificate_expiration_timestamp_seconds",
          "When the certificate that the server shows expires, in seconds "
          "since the epoch.");
  prometheus::Family<prometheus::Counter>& credentials_read = Add(
      *registry, prometheus::BuildCounter(), "tern_credentials_read_total",
      "Times that certificates or tokens were new on disk, and whether they "
      "were taken into use.");
  prometheus::Family<prometheus::Gauge>& model_file_bytes =
      Add(*registry, prometheus::BuildGauge(), "tern_model_file_bytes",
          "Size of a model's weights on disk.");
};

Metrics::Metrics(const Scheduler* scheduler)
    : impl_(std::make_unique<Impl>(scheduler)) {
  Add(*impl_->registry, prometheus::BuildGauge(), "tern_build_info",
      "What this server was built from; always 1.")
      .Add({{"version", Version()}, {"compiler", TERN_COMPILER}})
      .Set(1);
  for (const char* reason :
       {"invalid", "not_found", "queue_full", "incoming_full", "quota",
        "expired", "cancelled", "shutting_down", "unauthenticated",
        "permission_denied", "other"}) {
    impl_->rejected.Add({{"reason", reason}});
  }
  for (const char* reason : {"too_many", "no_request", "slow_response"}) {
    impl_->closed_http_connections.Add({{"reason", reason}});
  }
}

Metrics::~Metrics() = default;

absl::StatusOr<int> Metrics::Listen(
    const std::string& address,
    const std::function<bool(const std::string&)>& allow) {
  try {
    impl_->exposer = std::make_unique<prometheus::Exposer>(address);
  } catch (const std::exception& error) {
    return absl::UnavailableError(absl::StrCat(
        "metrics: expected to listen on '", address, "': ", error.what()));
  }
  if (allow != nullptr) {
    impl_->exposer->RegisterAuth(
        [allow](const std::string&, const std::string& password) {
          return allow(password);
        },
        "tern");
  }
  impl_->exposer->RegisterCollectable(impl_->registry);
  impl_->exposer->RegisterCollectable(impl_->scheduler);
  impl_->exposer->RegisterCollectable(impl_->process);
  return impl_->exposer->GetListeningPorts().front();
}

void Metrics::ObserveCall(absl::string_view method, const ServedModel* model,
                          absl::StatusCode code, const StageTimes& times) {
  const std::pair<const char*, absl::Duration> stages[] = {
      {"tokenize", times.tokenize},
      {"queue", times.queue},
      {"compute", times.compute},
      {"total", times.total}};
  for (const auto& [stage, time] : stages) {
    if (time == absl::ZeroDuration()) continue;
    impl_->call_seconds
        .Add({{"stage", stage},
              {"method", std::string(method)},
              {"model", model == nullptr ? "" : model->name},
              {"status", StatusCodeName(code)}},
             kLatencyBuckets)
        .Observe(absl::ToDoubleSeconds(time));
  }
}

void Metrics::CountRejected(absl::string_view reason) {
  impl_->rejected.Add({{"reason", std::string(reason)}}).Increment();
}

void Metrics::ObserveBatch(const Work& work, absl::Duration compute) {
  const prometheus::Labels labels = {{"model", work.model().name}};
  impl_->batch_seconds.Add(labels, kLatencyBuckets)
      .Observe(absl::ToDoubleSeconds(compute));
  impl_->batch_tokens.Add(labels, kTokenBuckets).Observe(work.tokens);
  impl_->batch_sequences.Add(labels, kSequenceBuckets)
      .Observe(static_cast<double>(work.items.size()));
}

void Metrics::SetModels(const ModelRegistry::Models& models) {
  std::set<ModelGauge> gauges;
  const auto set = [&gauges](prometheus::Family<prometheus::Gauge>& family,
                             const prometheus::Labels& labels, double value) {
    prometheus::Gauge& gauge = family.Add(labels);
    gauge.Set(value);
    gauges.emplace(&family, &gauge);
  };
  for (const auto& model : models) {
    const Engine& engine = *model->engine;
    const prometheus::Labels labels = {{"model", model->name},
                                       {"version", model->version}};
    prometheus::Labels info = labels;
    info["task"] = std::string(TaskName(engine.config().task));
    info["precision"] = std::string(PrecisionName(engine.precision()));
    info["variant"] = std::string(engine.variant());
    set(impl_->model_info, info, 1);
    set(impl_->model_load_seconds, labels,
        absl::ToDoubleSeconds(model->load_time));
    set(impl_->model_file_bytes, labels,
        static_cast<double>(engine.file_bytes()));
  }
  for (const ModelGauge& gauge : impl_->model_gauges) {
    if (!gauges.contains(gauge)) gauge.first->Remove(gauge.second);
  }
  impl_->model_gauges = std::move(gauges);
}

void Metrics::CountLoad(const std::string& model, bool loaded) {
  impl_->model_loads
      .Add({{"model", model}, {"result", loaded ? "loaded" : "refused"}})
      .Increment();
}

ModelTotals Metrics::TotalsOf(absl::string_view model) const {
  ModelTotals totals;
  const auto add = [](const prometheus::ClientMetric::Histogram& histogram,
                      ModelTotals::Times& times) {
    times.count += static_cast<int64_t>(histogram.sample_count);
    times.sum += absl::Seconds(histogram.sample_sum);
  };
  ForModel(impl_->call_seconds, model, [&](const ClientMetric& metric) {
    const std::string stage = LabelOf(metric, "stage");
    if (stage == "total") {
      const bool answered =
          LabelOf(metric, "status") == StatusCodeName(absl::StatusCode::kOk);
      add(metric.histogram, answered ? totals.answered : totals.failed);
    } else if (stage == "tokenize") {
      add(metric.histogram, totals.tokenize);
    } else if (stage == "queue") {
      add(metric.histogram, totals.queue);
    } else if (stage == "compute") {
      add(metric.histogram, totals.compute);
    }
  });
  ForModel(impl_->batch_sequences, model, [&](const ClientMetric& metric) {
    totals.batches += static_cast<int64_t>(metric.histogram.sample_count);
    totals.sequences += static_cast<int64_t>(metric.histogram.sample_sum);
  });
  return totals;
}

void Metrics::CountRefusedConnection() {
  impl_->refused_connections.Increment();
}

void Metrics::CountClosedHttpConnection(absl::string_view reason) {
  impl_->closed_http_connections.Add({{"reason", std::string(reason)}})
      .Increment();
}

void Metrics::SetStuckWorkers(int workers) {
  impl_->stuck_workers.Set(workers);
}

void Metrics::SetCertificateExpiration(absl::Time expires_at) {
  impl_->certificate_expiration.Add({}).Set(
      static_cast<double>(absl::ToUnixSeconds(expires_at)));
}

void Metrics::CountCredentialsRead(absl::string_view what, bool taken) {
  for (const bool counted : {false, true}) {
    impl_->credentials_read
        .Add({{"what", std::string(what)},
              {"taken", counted ? "true" : "false"}})
        .Increment(counted == taken ? 1 : 0);
  }
}

std::string Metrics::Text() const {
  std::vector<MetricFamily> families = impl_->registry->Collect();
  for (const prometheus::Collectable* collectable :
       {static_cast<const prometheus::Collectable*>(impl_->scheduler.get()),
        static_cast<const prometheus::Collectable*>(impl_->process.get())}) {
    for (MetricFamily& family : collectable->Collect()) {
      families.push_back(std::move(family));
    }
  }
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace tern

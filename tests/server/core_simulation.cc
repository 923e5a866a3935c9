#include "tests/server/core_simulation.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>

#include "server/scheduler.h"

namespace tern {
namespace {

// Shorter is no time at all: what rounding leaves of a task.
constexpr double kInstant = 1e-12;

Scheduler::Options OptionsFor(const SimulatedLoad& load) {
  Scheduler::Options options;
  options.max_batch_tokens = load.max_batch_tokens;
  options.max_waiting_requests = load.clients;
  options.max_waiting_tokens = std::numeric_limits<int64_t>::max() / 2;
  return options;
}

class Simulation {
 public:
  Simulation(const SimulatedMachine& machine, const SimulatedLoad& load)
      : machine_(machine),
        load_(load),
        model_(std::make_shared<ServedModel>()),
        scheduler_(OptionsFor(load), &clock_) {}

  CoreReport Run() {
    for (int client = 0; client < load_.clients; ++client) Send();
    const int64_t warm_up = load_.requests / 10;
    double began = 0;
    while (answered() < load_.requests) {
      StartBatches();
      Advance();
      if (answered() < warm_up) began = now_;
    }
    return Report(warm_up, began);
  }

 private:
  enum class Kind { kArrival, kBatch, kReply };
  // Something that a core works on.
  struct Task {
    Kind kind;
    double seconds;  // of a core of its own
    double left;     // thereof
    double sent_at = 0;
    Work work = {};
  };

  template <typename Call>
  auto Timed(Call call) {
    struct Stopwatch {
      ~Stopwatch() { *sum += std::chrono::steady_clock::now() - begin; }
      std::chrono::duration<double>* sum;
      std::chrono::steady_clock::time_point begin =
          std::chrono::steady_clock::now();
    } stopwatch{&scheduler_seconds_};
    return call();
  }

  int64_t answered() const { return static_cast<int64_t>(latencies_.size()); }

  void Start(Kind kind, double seconds, double sent_at, Work work = {}) {
    running_.push_back({kind, seconds, seconds, sent_at, std::move(work)});
    if (kind == Kind::kBatch) ++batches_running_;
  }

  void Send() { Start(Kind::kArrival, machine_.seconds_per_call / 2, now_); }

  void StartBatches() {
    while (batches_running_ < machine_.cores && waiting_ > 0) {
      Work work = Timed([&] { return scheduler_.Take(); });
      waiting_ -= static_cast<int64_t>(work.items.size());
      ++batches_;
      tokens_ += work.tokens;
      const double seconds =
          machine_.seconds_per_batch + machine_.seconds_per_token * work.tokens;
      Start(Kind::kBatch, seconds, 0, std::move(work));
    }
  }

  // The speed of batches and of all else, of a core's full one.
  std::pair<double, double> Speeds() const {
    const double share =
        std::min(1.0, machine_.cores / static_cast<double>(running_.size()));
    double bytes_per_second = 0;
    for (const Task& task : running_) {
      if (task.kind != Kind::kBatch) continue;
      bytes_per_second += share * machine_.bytes_per_batch / task.seconds;
    }
    const double fed = bytes_per_second > machine_.bytes_per_second
                           ? machine_.bytes_per_second / bytes_per_second
                           : 1;
    return {share * fed, share};
  }

  // To the next end of a task, and that.
  void Advance() {
    const auto [batch_speed, speed] = Speeds();
    const auto speed_of = [batch = batch_speed, other = speed](const Task& t) {
      return t.kind == Kind::kBatch ? batch : other;
    };
    double step = std::numeric_limits<double>::infinity();
    for (const Task& task : running_) {
      step = std::min(step, task.left / speed_of(task));
    }
    now_ += step;
    clock_.Advance(absl::UnixEpoch() + absl::Seconds(now_) - clock_.Now());
    for (Task& task : running_) task.left -= step * speed_of(task);
    const auto ended =
        std::partition(running_.begin(), running_.end(),
                       [](const Task& task) { return task.left > kInstant; });
    std::vector<Task> tasks(std::make_move_iterator(ended),
                            std::make_move_iterator(running_.end()));
    running_.erase(ended, running_.end());
    for (Task& task : tasks) End(task);
  }

  void End(const Task& task) {
    switch (task.kind) {
      case Kind::kArrival:
        return Queue(task.sent_at);
      case Kind::kBatch:
        --batches_running_;
        return Timed([&] { scheduler_.Finish(task.work, absl::OkStatus()); });
      case Kind::kReply:
        latencies_.push_back(now_ - task.sent_at);
        return Send();
    }
  }

  void Queue(double sent_at) {
    auto request = std::make_shared<Request>();
    request->model = model_;
    const int length = load_.lengths[sent_++ % load_.lengths.size()];
    request->sequences.emplace_back().ids.resize(length);
    request->done = [this, sent_at](const absl::Status&) {
      Start(Kind::kReply, machine_.seconds_per_call / 2, sent_at);
    };
    if (Timed([&] { return scheduler_.Push(request); }).ok()) ++waiting_;
  }

  CoreReport Report(int64_t warm_up, double began) const {
    std::vector<double> measured(latencies_.begin() + warm_up,
                                 latencies_.end());
    std::sort(measured.begin(), measured.end());
    const double count = static_cast<double>(measured.size());
    const auto quantile = [&](double q) {
      return measured[static_cast<size_t>(q * (count - 1))];
    };
    return {.requests_per_second = count / (now_ - began),
            .p50_seconds = quantile(0.5),
            .p99_seconds = quantile(0.99),
            .tokens_per_batch =
                static_cast<double>(tokens_) / static_cast<double>(batches_),
            .scheduler_seconds_per_request =
                scheduler_seconds_.count() / static_cast<double>(answered())};
  }

  const SimulatedMachine machine_;
  const SimulatedLoad load_;
  const std::shared_ptr<const ServedModel> model_;
  VirtualClock clock_;
  Scheduler scheduler_;

  double now_ = 0;  // seconds
  std::vector<Task> running_;
  int batches_running_ = 0;
  int64_t waiting_ = 0;  // sequences in the scheduler
  size_t sent_ = 0;
  int64_t batches_ = 0;
  int64_t tokens_ = 0;  // in those
  std::vector<double> latencies_;
  std::chrono::duration<double> scheduler_seconds_{0};
};

}  // namespace

CoreReport SimulateCores(const SimulatedMachine& machine,
                         const SimulatedLoad& load) {
  return Simulation(machine, load).Run();
}

}  // namespace tern

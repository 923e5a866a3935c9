#include "tests/server/scheduler_simulation.h"

#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/scheduler.h"

namespace tern {
namespace {

constexpr int kTenants = 4;
constexpr int kModels = 2;
constexpr size_t kWorkers = 3;
constexpr int kLongest = 300;  // tokens of a sequence
constexpr int kTurn = 512;
constexpr int kStepsBetweenDrains = 100000;

const Scheduler::Options kOptions = {
    .max_batch_tokens = 512,
    .max_waiting_requests = 60,
    .max_waiting_tokens = 12000,
    .max_waiting_bytes = 200000,
    .tenant_share = 0.5,
    .top_tenants = 2,
    .order = {.turn_tokens = kTurn, .max_overtaking = absl::Milliseconds(20)}};

class Simulation {
 public:
  explicit Simulation(uint32_t seed) : random_(seed) {
    for (auto& model : models_) model = std::make_shared<ServedModel>();
    Restart();
  }

  absl::StatusOr<SimulationReport> Run(int64_t requests) {
    report_.lead_bound_tokens = 2 * (kTurn + kLongest);
    for (int64_t step = 1; report_.requests < requests; ++step) {
      Step();
      if (step % kStepsBetweenDrains == 0) Drain();
      Check();
      if (!error_.empty()) {
        return absl::InternalError(absl::StrCat("step ", step, ": ", error_));
      }
    }
    Drain();
    if (!error_.empty()) {
      return absl::InternalError(absl::StrCat("at the end: ", error_));
    }
    return report_;
  }

 private:
  // A request as the simulation knows it.
  struct Sent {
    std::shared_ptr<Request> request;
    int tenant = 0;
    int model = 0;
    std::pair<absl::Time, int64_t> place;
    bool accepted = false;
    bool ended = false;
  };

  int Below(int n) { return static_cast<int>(random_() % n); }
  void Expect(bool holds, const std::string& what) {
    if (!holds && error_.empty()) error_ = what;
  }

  void Restart() {
    scheduler_ = std::make_unique<Scheduler>(kOptions, &clock_);
    before_ = report_;
    accepted_ = 0;
  }

  void Step() {
    clock_.Advance(absl::Microseconds(Below(200)));
    // Load comes in waves, so that the queue is now full, now empty.
    const int busy = (report_.requests / 5000) % 2 == 0 ? 60 : 25;
    const int action = Below(100);
    if (action < busy) {
      Send();
    } else if (action < busy + 5) {
      Cancel();
    } else if (action < busy + 20 && running_.size() < kWorkers) {
      Take();
    } else if (!running_.empty()) {
      FinishOne();
    }
  }

  void Send() {
    auto sent = std::make_shared<Sent>();
    auto request = std::make_shared<Request>();
    // The first tenant sends half of all, the last one almost nothing.
    const int who = Below(40);
    sent->tenant = who < 20 ? 0 : who < 32 ? 1 : who < 39 ? 2 : 3;
    sent->model = Below(20) == 0 ? 1 : 0;
    request->tenant = absl::StrCat("tenant", sent->tenant);
    request->model = models_[sent->model];
    request->message_bytes = Below(5000);
    const int sequences = 1 + Below(Below(20) == 0 ? 30 : 3);
    const int longest = 1 + Below(kLongest);
    for (int s = 0; s < sequences; ++s) {
      request->sequences.emplace_back().ids.resize(1 + Below(longest));
    }
    if (Below(3) == 0) {
      request->deadline = clock_.Now() + absl::Microseconds(Below(30000));
    }
    request->done = [this, sent = sent.get()](const absl::Status& status) {
      Done(*sent, status);
    };
    sent->request = request;
    sent->place = {std::min(request->deadline,
                            clock_.Now() + kOptions.order.max_overtaking),
                   ++report_.requests};

    // Before the call: `done` of others comes from within it.
    const absl::Status status = scheduler_->Push(request);
    switch (status.code()) {
      case absl::StatusCode::kOk:
        sent->accepted = true;
        ++accepted_;
        waiting_[sent->tenant][sent->model].emplace(sent->place, request);
        by_request_.emplace(request.get(), std::move(sent));
        break;
      case absl::StatusCode::kResourceExhausted:
        ++report_.refused_full;
        break;
      case absl::StatusCode::kDeadlineExceeded:
        ++report_.refused_late;
        break;
      default:
        Expect(false, absl::StrCat("Push said ", status.ToString()));
    }
  }

  void Cancel() {
    if (by_request_.empty()) return;
    auto entry = by_request_.begin();
    std::advance(entry, Below(std::min<int>(by_request_.size(), 8)));
    const std::shared_ptr<Request> request = entry->second->request;
    scheduler_->Abandon(request, Awaited::kCancelled);
  }

  void Take() {
    const Work work = scheduler_->Take();
    if (work.empty()) return;
    Expect(work.tokens <= kOptions.max_batch_tokens || work.items.size() == 1,
           "a batch has too many tokens");
    int tokens = 0;
    for (const Work::Item& item : work.items) {
      Expect(item.request->model.get() == &work.model(),
             "a batch has two models");
      tokens += item.request->tokens(item.sequence);
      Taken(item);
    }
    Expect(tokens == work.tokens, "a batch's tokens are miscounted");
    running_.push_back(work);
  }

  void Taken(const Work::Item& item) {
    const auto found = by_request_.find(item.request.get());
    if (found == by_request_.end()) {
      return Expect(false, "a request was taken after its end");
    }
    Sent& sent = *found->second;
    auto& waiting = waiting_[sent.tenant][sent.model];
    Expect(!waiting.empty() && waiting.begin()->second == item.request,
           "a request was taken before one that is due sooner");
    const int last = static_cast<int>(item.request->sequences.size()) - 1;
    if (item.sequence == last) waiting.erase(sent.place);
    served_[sent.tenant] += item.request->tokens(item.sequence);
  }

  void FinishOne() {
    const int w = Below(static_cast<int>(running_.size()));
    const Work work = std::move(running_[w]);
    running_.erase(running_.begin() + w);
    clock_.Advance(absl::Microseconds(work.tokens * (1 + Below(2)) / 2));
    scheduler_->Finish(work, scheduler_->Abandoned(work)
                                 ? absl::CancelledError("abandoned")
                             : Below(30) == 0 ? absl::InternalError("broken")
                                              : absl::OkStatus());
  }

  // Called by the scheduler.
  void Done(Sent& sent, const absl::Status& status) {
    Expect(sent.accepted, "done of a request that was refused");
    Expect(!sent.ended, "done twice");
    sent.ended = true;
    switch (status.code()) {
      case absl::StatusCode::kOk:
        ++report_.answered;
        Expect(sent.request->progress.computed ==
                   static_cast<int>(sent.request->sequences.size()),
               "answered before all was computed");
        break;
      case absl::StatusCode::kInternal:
        ++report_.failed;
        break;
      case absl::StatusCode::kCancelled:
        ++report_.cancelled;
        break;
      case absl::StatusCode::kDeadlineExceeded:
        ++report_.expired;
        break;
      default:
        Expect(false, absl::StrCat("done with ", status.ToString()));
    }
    waiting_[sent.tenant][sent.model].erase(sent.place);
    ended_.push_back(sent.request.get());
  }

  void Check() {
    const Scheduler::Counts counts = scheduler_->counts();
    Expect(counts.accepted == accepted_, "accepted is miscounted");
    Expect(counts.accepted == counts.answered + counts.failed +
                                  counts.cancelled + counts.expired +
                                  counts.in_flight,
           "accepted = answered + failed + cancelled + expired + in flight");
    Expect(counts.answered == report_.answered - before_.answered &&
               counts.failed == report_.failed - before_.failed &&
               counts.cancelled == report_.cancelled - before_.cancelled &&
               counts.expired == report_.expired - before_.expired,
           "ends are miscounted");
    int64_t requests = 0;
    for (const auto& models : waiting_) {
      for (const auto& waiting : models) {
        requests += static_cast<int64_t>(waiting.size());
      }
    }
    Expect(counts.waiting_requests == requests, "waiting is miscounted");
    Expect(requests <= kOptions.max_waiting_requests, "too many requests wait");
    // A request larger than the queue is taken when nothing waits.
    Expect(requests <= 1 || counts.waiting_tokens <=
                                kOptions.max_waiting_tokens + 30 * kLongest,
           "too many tokens wait");
    Expect(counts.waiting_tokens >= 0 && counts.waiting_bytes >= 0,
           "less than nothing waits");
    CheckFairness();
    for (const Request* request : ended_) by_request_.erase(request);
    ended_.clear();
  }

  // Only the first model: what is said of tenants is said of those that wait
  // for the same one.
  void CheckFairness() {
    for (int a = 0; a < kTenants; ++a) {
      for (int b = 0; b < kTenants; ++b) {
        Lead& lead = leads_[a][b];
        const bool others = !waiting_[a][1].empty() || !waiting_[b][1].empty();
        if (waiting_[a][0].empty() || waiting_[b][0].empty() || others) {
          lead.both_wait = false;
          continue;
        }
        const int64_t ahead = served_[a] - served_[b];
        if (!std::exchange(lead.both_wait, true)) lead.least = ahead;
        lead.least = std::min(lead.least, ahead);
        const int64_t gained = ahead - lead.least;
        report_.largest_lead_tokens =
            std::max(report_.largest_lead_tokens, gained);
        Expect(gained <= report_.lead_bound_tokens,
               absl::StrCat("a tenant got ", gained, " tokens ahead"));
      }
    }
  }

  void Drain() {
    ++report_.drains;
    scheduler_->Close();
    auto late = std::make_shared<Request>();
    late->sequences.emplace_back().ids.resize(1);
    late->model = models_[0];
    Expect(absl::IsUnavailable(scheduler_->Push(late)),
           "a closed scheduler took a request");
    ++report_.refused_closed;
    while (scheduler_->HasWaiting() || !running_.empty()) {
      Take();
      if (!running_.empty()) FinishOne();
      Check();
    }
    Check();
    Expect(scheduler_->counts().in_flight == 0, "in flight after the drain");
    Expect(scheduler_->counts().waiting_tokens == 0 &&
               scheduler_->counts().waiting_bytes == 0,
           "something waits after the drain");
    Expect(by_request_.empty(), "a request never ended");
    Restart();
  }

  struct Lead {
    bool both_wait = false;
    int64_t least = 0;  // of what one is ahead, since both wait
  };

  std::mt19937 random_;
  VirtualClock clock_;
  std::shared_ptr<const ServedModel> models_[kModels];
  std::unique_ptr<Scheduler> scheduler_;
  SimulationReport report_, before_;  // before_: when the scheduler was new
  int64_t accepted_ = 0;              // by this scheduler
  std::string error_;                 // the first one

  std::map<const Request*, std::shared_ptr<Sent>> by_request_;  // in flight
  std::vector<const Request*> ended_;                           // in this step
  std::map<std::pair<absl::Time, int64_t>, std::shared_ptr<Request>>
      waiting_[kTenants][kModels];
  std::vector<Work> running_;
  int64_t served_[kTenants] = {};
  Lead leads_[kTenants][kTenants];
};

}  // namespace

absl::StatusOr<SimulationReport> SimulateScheduler(int64_t requests,
                                                   uint32_t seed) {
  return Simulation(seed).Run(requests);
}

}  // namespace tern

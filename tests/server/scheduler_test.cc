#include "server/scheduler.h"

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/status_mapping.h"

namespace tern {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

// A scheduler on a virtual clock, and the requests that were given to it.
class SchedulerTest : public ::testing::Test {
 protected:
  void Restart(Scheduler::Options options) {
    scheduler_ = std::make_unique<Scheduler>(options, &clock_);
  }

  // A request with sequences of these lengths.
  std::shared_ptr<Request> MakeRequest(
      const std::string& name, const std::vector<int>& lengths,
      std::shared_ptr<const ServedModel> model) {
    auto request = std::make_shared<Request>();
    request->model = std::move(model);
    for (const int length : lengths) {
      Encoding encoding;
      encoding.ids.resize(length);
      encoding.type_ids.resize(length);
      request->sequences.push_back(encoding);
    }
    request->done = [this, name](const absl::Status& status) {
      ++done_[name];
      statuses_[name] = status;
      // Fails by a deadlock if a lock is held.
      scheduler_->counts();
    };
    names_[request.get()] = name;
    return request;
  }
  std::shared_ptr<Request> MakeRequest(const std::string& name,
                                       const std::vector<int>& lengths) {
    return MakeRequest(name, lengths, model_a_);
  }

  std::shared_ptr<Request> Push(const std::string& name,
                                const std::vector<int>& lengths) {
    auto request = MakeRequest(name, lengths);
    EXPECT_EQ(scheduler_->Push(request), absl::OkStatus());
    return request;
  }

  // "name" and sequence of each item.
  std::vector<std::pair<std::string, int>> Items(const Work& work) {
    std::vector<std::pair<std::string, int>> items;
    for (const Work::Item& item : work.items) {
      items.emplace_back(names_[item.request.get()], item.sequence);
    }
    return items;
  }

  VirtualClock clock_;
  std::shared_ptr<const ServedModel> model_a_ = std::make_shared<ServedModel>();
  std::shared_ptr<const ServedModel> model_b_ = std::make_shared<ServedModel>();
  std::unique_ptr<Scheduler> scheduler_ = std::make_unique<Scheduler>(
      Scheduler::Options{.max_batch_tokens = 100}, &clock_);
  std::map<const Request*, std::string> names_;
  std::map<std::string, int> done_;
  std::map<std::string, absl::Status> statuses_;
};

TEST_F(SchedulerTest, FillsABatchUpToTheTokenBudgetInOrder) {
  Push("a", {40});
  Push("b", {40});
  Push("c", {40});

  EXPECT_THAT(Items(scheduler_->Take()),
              ElementsAre(Pair("a", 0), Pair("b", 0)));
  EXPECT_THAT(Items(scheduler_->Take()), ElementsAre(Pair("c", 0)));
  EXPECT_TRUE(scheduler_->Take().empty());
}

TEST_F(SchedulerTest, SpreadsALargeRequestOverBatches) {
  auto request = Push("a", {60, 60, 30, 60});

  const Work first = scheduler_->Take();
  const Work second = scheduler_->Take();
  const Work third = scheduler_->Take();

  EXPECT_THAT(Items(first), ElementsAre(Pair("a", 0)));
  EXPECT_THAT(Items(second), ElementsAre(Pair("a", 1), Pair("a", 2)));
  EXPECT_THAT(Items(third), ElementsAre(Pair("a", 3)));
  scheduler_->Finish(first, absl::OkStatus());
  scheduler_->Finish(third, absl::OkStatus());
  EXPECT_EQ(done_["a"], 0);
  scheduler_->Finish(second, absl::OkStatus());
  EXPECT_EQ(done_["a"], 1);
  EXPECT_EQ(statuses_["a"], absl::OkStatus());
}

TEST_F(SchedulerTest, TakesASequenceLongerThanTheBudgetAlone) {
  Push("long", {500});
  Push("short", {1});

  EXPECT_THAT(Items(scheduler_->Take()), ElementsAre(Pair("long", 0)));
}

TEST_F(SchedulerTest, OldestRequestDecidesTheModelOfABatch) {
  ASSERT_TRUE(scheduler_->Push(MakeRequest("a1", {40}, model_a_)).ok());
  ASSERT_TRUE(scheduler_->Push(MakeRequest("b1", {40}, model_b_)).ok());
  ASSERT_TRUE(scheduler_->Push(MakeRequest("a2", {40}, model_a_)).ok());
  ASSERT_TRUE(scheduler_->Push(MakeRequest("a3", {40}, model_a_)).ok());

  EXPECT_THAT(Items(scheduler_->Take()),
              ElementsAre(Pair("a1", 0), Pair("a2", 0)));
  EXPECT_THAT(Items(scheduler_->Take()), ElementsAre(Pair("b1", 0)));
  EXPECT_THAT(Items(scheduler_->Take()), ElementsAre(Pair("a3", 0)));
}

TEST_F(SchedulerTest, ShedsLoadWhenTooManyRequestsWait) {
  Restart({.max_waiting_requests = 2});
  Push("a", {10});
  Push("b", {10});

  const absl::Status status = scheduler_->Push(MakeRequest("c", {10}));

  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(RetryDelay(status).has_value());
  EXPECT_EQ(done_["c"], 0);
  EXPECT_EQ(scheduler_->counts().accepted, 2);
}

TEST_F(SchedulerTest, ShedsLoadWhenTooManyTokensWait) {
  Restart({.max_waiting_tokens = 100});
  Push("a", {60});

  EXPECT_EQ(scheduler_->Push(MakeRequest("b", {41})).code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(scheduler_->Push(MakeRequest("c", {40})), absl::OkStatus());
}

TEST_F(SchedulerTest, TakesARequestAboveTheTokenBoundWhenNothingWaits) {
  Restart({.max_waiting_tokens = 100});

  EXPECT_EQ(scheduler_->Push(MakeRequest("a", {90, 90})), absl::OkStatus());
}

TEST_F(SchedulerTest, UnawaitedRequestsMakeRoomForNewOnes) {
  Restart({.max_waiting_requests = 1});
  auto gone = Push("gone", {10});
  scheduler_->Abandon(gone, Awaited::kCancelled);

  EXPECT_EQ(statuses_["gone"].code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(scheduler_->counts().waiting_tokens, 0);
  auto late = MakeRequest("late", {10});
  late->deadline = clock_.Now() + absl::Seconds(1);
  EXPECT_EQ(scheduler_->Push(late), absl::OkStatus());
  clock_.Advance(absl::Seconds(1));
  EXPECT_EQ(scheduler_->Push(MakeRequest("new", {10})), absl::OkStatus());
  EXPECT_EQ(statuses_["late"].code(), absl::StatusCode::kDeadlineExceeded);
}

TEST_F(SchedulerTest, AnAbandonedRequestEndsOnceThoughPartOfItIsComputed) {
  Restart({.max_batch_tokens = 100});
  auto request = Push("gone", {60, 60});
  const Work first = scheduler_->Take();

  scheduler_->Abandon(request, Awaited::kExpired);
  scheduler_->Abandon(request, Awaited::kCancelled);
  EXPECT_EQ(statuses_["gone"].code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(scheduler_->Abandoned(first));
  EXPECT_FALSE(scheduler_->HasWaiting());
  scheduler_->Finish(first, absl::OkStatus());

  EXPECT_EQ(done_["gone"], 1);
  EXPECT_EQ(scheduler_->counts().expired, 1);
  EXPECT_EQ(scheduler_->counts().unawaited_tokens, 60);
}

TEST_F(SchedulerTest, RefusesWhatWasAbandonedBeforeItCame) {
  auto request = MakeRequest("gone", {10});
  scheduler_->Abandon(request, Awaited::kCancelled);

  EXPECT_EQ(scheduler_->Push(request).code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(done_["gone"], 0);
}

TEST_F(SchedulerTest, RetryDelayIsTheTimeToDrainHalfTheQueue) {
  Restart({.max_batch_tokens = 100, .max_waiting_tokens = 1000});
  Push("measured", {100});
  const Work work = scheduler_->Take();
  clock_.Advance(absl::Seconds(1));  // 100 tokens a second
  scheduler_->Finish(work, absl::OkStatus());
  Push("waiting", {1000});

  const absl::Status status = scheduler_->Push(MakeRequest("refused", {1}));

  ASSERT_TRUE(RetryDelay(status).has_value());
  EXPECT_EQ(*RetryDelay(status), absl::Seconds(5));
}

TEST_F(SchedulerTest, ShedsLoadWhenTooManyBytesWait) {
  Restart({.max_waiting_bytes = 1 << 20});
  auto large = MakeRequest("large", {10});
  large->message_bytes = 1 << 19;
  auto second = MakeRequest("second", {10});
  second->message_bytes = 1 << 19;
  ASSERT_EQ(scheduler_->Push(large), absl::OkStatus());

  EXPECT_EQ(scheduler_->Push(second).code(),
            absl::StatusCode::kResourceExhausted);
  scheduler_->Abandon(large, Awaited::kCancelled);
  EXPECT_EQ(scheduler_->counts().waiting_bytes, 0);
  EXPECT_EQ(scheduler_->Push(MakeRequest("third", {10})), absl::OkStatus());
}

TEST_F(SchedulerTest, AFloodingTenantLeavesRoomForOthers) {
  Restart({.max_waiting_requests = 8, .tenant_share = 0.5});
  const auto push = [this](const std::string& tenant) {
    auto request = MakeRequest(tenant, {10});
    request->tenant = tenant;
    return scheduler_->Push(request).ok();
  };

  int flooded = 0;
  while (push("flood")) ++flooded;
  EXPECT_EQ(flooded, 4);
  EXPECT_EQ(scheduler_->CheckRoom("flood", 0).code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(scheduler_->CheckRoom("quiet", 0), absl::OkStatus());
  EXPECT_TRUE(push("quiet"));
  EXPECT_TRUE(push("quiet"));
  EXPECT_FALSE(push("quiet"));
  EXPECT_TRUE(push("third"));
}

TEST_F(SchedulerTest, OneLongRequestLeavesRoomForOtherTenants) {
  Restart(
      {.max_batch_tokens = 16, .max_waiting_tokens = 100, .tenant_share = 0.5});
  const auto push = [this](const std::string& tenant, int tokens) {
    auto request = MakeRequest(tenant, {tokens});
    request->tenant = tenant;
    return scheduler_->Push(request).ok();
  };

  EXPECT_TRUE(push("long", 1000));  // nothing waits
  EXPECT_FALSE(push("long", 1));
  EXPECT_FALSE(push("second", 50));  // half of what is left is 25
  EXPECT_TRUE(push("second", 25));
  EXPECT_TRUE(push("third", 16));
  EXPECT_TRUE(push("fourth", 9));
  EXPECT_FALSE(push("fifth", 1));
}

TEST_F(SchedulerTest, ATenantPastItsQuotaIsToldWhenToComeBack) {
  Restart({.quotas = {.tokens_per_second = 10}});
  const auto push = [this](const std::string& tenant, int tokens) {
    auto request = MakeRequest(tenant, {tokens});
    request->tenant = tenant;
    return scheduler_->Push(request);
  };

  EXPECT_EQ(push("a", 25), absl::OkStatus());
  const absl::Status refused = push("a", 1);
  EXPECT_TRUE(IsQuotaExceeded(refused)) << refused;
  EXPECT_EQ(RetryDelay(refused), absl::Milliseconds(1500));
  EXPECT_TRUE(IsQuotaExceeded(scheduler_->CheckRoom("a", 0)));
  EXPECT_EQ(push("b", 1), absl::OkStatus());
  clock_.Advance(absl::Milliseconds(1500));
  EXPECT_EQ(push("a", 1), absl::OkStatus());
}

TEST_F(SchedulerTest, ForeseesFromItsLengthThatAMessageHasTooManyTokens) {
  Restart({.max_waiting_tokens = 1000});
  for (int i = 0; i < 200; ++i) {  // a token for every 4 bytes
    auto request = MakeRequest("", {4});
    request->message_bytes = 16;
    ASSERT_EQ(scheduler_->Push(request), absl::OkStatus());
  }

  EXPECT_EQ(scheduler_->CheckRoom("", 900), absl::OkStatus());
  EXPECT_EQ(scheduler_->CheckRoom("", 1200).code(),
            absl::StatusCode::kResourceExhausted);
}

TEST_F(SchedulerTest, SaysBeforehandThatItIsFullOrClosed) {
  Restart({.max_waiting_requests = 1});
  EXPECT_EQ(scheduler_->CheckRoom("", 0), absl::OkStatus());
  Push("a", {10});
  const absl::Status full = scheduler_->CheckRoom("", 0);
  EXPECT_EQ(full.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(RetryDelay(full).has_value());
  scheduler_->Close();
  EXPECT_EQ(scheduler_->CheckRoom("", 0).code(),
            absl::StatusCode::kUnavailable);
}

// Computes full batches of 100 tokens, `time` each.
class PacedSchedulerTest : public SchedulerTest {
 protected:
  void MeasurePace(absl::Duration time) {
    for (int i = 0; i < 40; ++i) {
      Push("measured", {100});
      const Work work = scheduler_->Take();
      clock_.Advance(time);
      scheduler_->Finish(work, absl::OkStatus());
    }
  }

  absl::Status PushWithin(absl::Duration time,
                          const std::vector<int>& lengths) {
    auto request = MakeRequest("urgent", lengths);
    request->deadline = clock_.Now() + time;
    return scheduler_->Push(request);
  }
};

TEST_F(PacedSchedulerTest, RefusesWhatCannotMakeItsDeadline) {
  MeasurePace(absl::Seconds(1));
  // Due after a second, the ageing bound, so before the urgent ones below.
  Push("waiting", std::vector<int>(5, 100));
  clock_.Advance(absl::Seconds(1));

  const absl::Status status = PushWithin(absl::Seconds(5.9), {100});

  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(done_["urgent"], 0);
  EXPECT_EQ(PushWithin(absl::Seconds(6.1), {100}), absl::OkStatus());
}

TEST_F(PacedSchedulerTest, TakesEveryDeadlineAheadWhereNothingWasMeasured) {
  EXPECT_EQ(PushWithin(absl::Nanoseconds(1), {100}), absl::OkStatus());
}

TEST_F(PacedSchedulerTest, ForgetsAPaceThatIsOld) {
  MeasurePace(absl::Seconds(1));
  clock_.Advance(absl::Seconds(11));

  EXPECT_EQ(PushWithin(absl::Milliseconds(1), {100}), absl::OkStatus());
}

TEST_F(PacedSchedulerTest, OneFrozenBatchHardlyChangesThePace) {
  MeasurePace(absl::Seconds(0.1));
  Push("frozen", {100});
  const Work work = scheduler_->Take();
  clock_.Advance(absl::Hours(1));
  scheduler_->Finish(work, absl::OkStatus());

  EXPECT_EQ(PushWithin(absl::Seconds(0.25), {100}), absl::OkStatus());
}

TEST_F(PacedSchedulerTest, DropsWhatExpiresBeforeItsBatchIsComputed) {
  MeasurePace(absl::Seconds(1));
  ASSERT_EQ(PushWithin(absl::Seconds(1.5), {100}), absl::OkStatus());
  Push("patient", {100});
  clock_.Advance(absl::Seconds(0.6));

  EXPECT_THAT(Items(scheduler_->Take()), ElementsAre(Pair("patient", 0)));
  EXPECT_EQ(statuses_["urgent"].code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(scheduler_->counts().expired, 1);
  EXPECT_EQ(scheduler_->counts().unawaited_tokens, 0);
}

TEST_F(SchedulerTest, CountsWhatWasComputedOfARequestThatExpired) {
  auto request = MakeRequest("late", {60, 60});
  request->deadline = clock_.Now() + absl::Seconds(1);
  ASSERT_EQ(scheduler_->Push(request), absl::OkStatus());
  const Work first = scheduler_->Take();
  scheduler_->Finish(first, absl::OkStatus());
  EXPECT_EQ(scheduler_->counts().unawaited_tokens, 0);
  clock_.Advance(absl::Seconds(1));

  EXPECT_TRUE(scheduler_->Take().empty());
  EXPECT_EQ(scheduler_->counts().unawaited_tokens, 60);
}

TEST_F(SchedulerTest, DropsExpiredRequestsWhenTaking) {
  auto expired = MakeRequest("expired", {10});
  expired->deadline = clock_.Now() + absl::Seconds(1);
  ASSERT_TRUE(scheduler_->Push(expired).ok());
  Push("alive", {10});
  clock_.Advance(absl::Seconds(1));

  EXPECT_THAT(Items(scheduler_->Take()), ElementsAre(Pair("alive", 0)));
  EXPECT_EQ(statuses_["expired"].code(), absl::StatusCode::kDeadlineExceeded);
}

TEST_F(SchedulerTest, RefusesARequestWhoseDeadlineHasPassed) {
  auto late = MakeRequest("late", {10});
  late->deadline = clock_.Now();

  EXPECT_EQ(scheduler_->Push(late).code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(done_["late"], 0);
}

TEST_F(SchedulerTest, ABatchIsAbandonedOnceNobodyAwaitsAnyOfIt) {
  auto a = Push("a", {10});
  auto b = Push("b", {10});
  b->deadline = clock_.Now() + absl::Seconds(1);
  const Work work = scheduler_->Take();

  scheduler_->Abandon(a, Awaited::kCancelled);
  EXPECT_FALSE(scheduler_->Abandoned(work));
  clock_.Advance(absl::Seconds(1));
  EXPECT_TRUE(scheduler_->Abandoned(work));

  scheduler_->Finish(work, absl::CancelledError("abandoned"));
  EXPECT_EQ(statuses_["a"].code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(statuses_["b"].code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(scheduler_->counts().unawaited_tokens, 20);
}

TEST_F(SchedulerTest, AFailedBatchFailsItsRequestsOnceAndDropsTheirRest) {
  Push("a", {60, 60, 60});
  Push("b", {60});
  const Work first = scheduler_->Take();
  const Work second = scheduler_->Take();

  scheduler_->Finish(first, absl::InternalError("broken"));
  EXPECT_EQ(statuses_["a"].code(), absl::StatusCode::kInternal);
  EXPECT_TRUE(scheduler_->Abandoned(second));
  scheduler_->Finish(second, absl::OkStatus());

  EXPECT_EQ(done_["a"], 1);
  EXPECT_THAT(Items(scheduler_->Take()), ElementsAre(Pair("b", 0)));
  EXPECT_EQ(scheduler_->counts().failed, 1);
}

TEST_F(SchedulerTest, ClosedTakesNothingNewButHandsOutWhatWaits) {
  Push("a", {10});
  scheduler_->Close();

  EXPECT_EQ(scheduler_->Push(MakeRequest("b", {10})).code(),
            absl::StatusCode::kUnavailable);
  EXPECT_TRUE(scheduler_->AwaitWork());
  EXPECT_THAT(Items(scheduler_->Take()), ElementsAre(Pair("a", 0)));
  EXPECT_FALSE(scheduler_->AwaitWork());
}

}  // namespace
}  // namespace tern

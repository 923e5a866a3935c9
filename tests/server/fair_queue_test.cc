#include "server/fair_queue.h"

#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tern {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class FairQueueTest : public ::testing::Test {
 protected:
  std::shared_ptr<Request> Add(
      const std::string& tenant, const std::vector<int>& lengths,
      absl::Duration deadline = absl::InfiniteDuration(),
      std::shared_ptr<const ServedModel> model = nullptr) {
    auto request = std::make_shared<Request>();
    request->tenant = tenant;
    request->model = model == nullptr ? model_a_ : model;
    request->queued_at = now_;
    request->deadline = now_ + deadline;
    for (const int length : lengths) {
      request->sequences.emplace_back().ids.resize(length);
    }
    queue_.Add(request);
    return request;
  }

  // Whose sequences a batch has.
  static std::vector<std::string> Tenants(const Work& work) {
    std::vector<std::string> tenants;
    for (const Work::Item& item : work.items) {
      tenants.push_back(item.request->tenant);
    }
    return tenants;
  }

  absl::Time now_ = absl::UnixEpoch();
  std::shared_ptr<const ServedModel> model_a_ = std::make_shared<ServedModel>();
  std::shared_ptr<const ServedModel> model_b_ = std::make_shared<ServedModel>();
  FairQueue queue_{{.turn_tokens = 10, .max_overtaking = absl::Seconds(1)}};
};

// Of a million empty fields, two bytes each on the wire.
TEST_F(FairQueueTest, AMessageIsAsLargeAsItIsInMemory) {
  Request request;
  request.message_bytes = 2 << 20;
  const int64_t by_wire = FairQueue::SizeOf(request).bytes;
  request.memory_bytes = 40 << 20;
  EXPECT_EQ(FairQueue::SizeOf(request).bytes - by_wire, 38 << 20);
}

TEST_F(FairQueueTest, TenantsTakeTurns) {
  for (int i = 0; i < 3; ++i) Add("flood", {10});
  Add("quiet", {10});

  EXPECT_THAT(Tenants(queue_.Take(40)),
              ElementsAre("flood", "quiet", "flood", "flood"));
  EXPECT_TRUE(queue_.empty());
}

TEST_F(FairQueueTest, ATurnGoesOnInTheNextBatch) {
  Add("a", {4, 4, 4, 4});
  Add("b", {4, 4, 4, 4});

  // A turn of 10 tokens ends with its third sequence.
  EXPECT_THAT(Tenants(queue_.Take(8)), ElementsAre("a", "a"));
  EXPECT_THAT(Tenants(queue_.Take(8)), ElementsAre("a", "b"));
  EXPECT_THAT(Tenants(queue_.Take(8)), ElementsAre("b", "b"));
  EXPECT_THAT(Tenants(queue_.Take(8)), ElementsAre("a", "b"));
}

TEST_F(FairQueueTest, WhatATurnTakesBeyondItsEndIsOwed) {
  Add("long", {25, 1, 1, 1});
  Add("short", {5, 5, 5, 5, 5, 5});

  // 25 tokens are two turns and a half: two turns of "short" pass in between,
  // and the next of "long" has 5 tokens left.
  EXPECT_THAT(Tenants(queue_.Take(100)),
              ElementsAre("long", "short", "short", "short", "short", "long",
                          "long", "long", "short", "short"));
}

TEST_F(FairQueueTest, TheMoreUrgentRequestOfATenantGoesFirst) {
  auto patient = Add("a", {1});
  auto late = Add("a", {1}, absl::Milliseconds(500));
  auto soon = Add("a", {1}, absl::Milliseconds(100));

  EXPECT_EQ(queue_.Take(1).items[0].request, soon);
  EXPECT_EQ(queue_.Take(1).items[0].request, late);
  EXPECT_EQ(queue_.Take(1).items[0].request, patient);
}

TEST_F(FairQueueTest, OnlyWhatComesWithinTheBoundOvertakes) {
  auto patient = Add("a", {1});
  int overtaken_by = 0;
  // Urgent requests come and are taken without end.
  for (bool waits = true; waits; ++overtaken_by) {
    now_ += absl::Milliseconds(10);
    Add("a", {1}, absl::Milliseconds(1));
    waits = queue_.Take(1).items[0].request != patient;
    ASSERT_LT(overtaken_by, 101) << "starved";
  }
  EXPECT_GE(overtaken_by, 99);
}

TEST_F(FairQueueTest, ATenantWithoutTheBatchsModelLeadsTheNext) {
  Add("a", {5, 5, 5, 5}, absl::InfiniteDuration(), model_a_);
  Add("b", {5}, absl::InfiniteDuration(), model_b_);
  Add("c", {5}, absl::InfiniteDuration(), model_a_);

  EXPECT_THAT(Tenants(queue_.Take(15)), ElementsAre("a", "a", "c"));
  EXPECT_THAT(Tenants(queue_.Take(15)), ElementsAre("b"));
  EXPECT_THAT(Tenants(queue_.Take(15)), ElementsAre("a", "a"));
}

TEST_F(FairQueueTest, KnowsHowMuchWaits) {
  auto a = Add("a", {3, 4});
  auto b = Add("b", {5}, absl::Seconds(1));
  EXPECT_EQ(queue_.size().requests, 2);
  EXPECT_EQ(queue_.size().tokens, 12);
  EXPECT_EQ(queue_.SizeOfTenant("a").tokens, 7);
  EXPECT_EQ(queue_.MostUrgent(), b);

  queue_.Take(3);
  EXPECT_EQ(queue_.SizeOfTenant("a").tokens, 4);
  EXPECT_EQ(queue_.SizeOfTenant("a").bytes, FairQueue::SizeOf(*a).bytes);
  queue_.Remove(*a);
  queue_.Remove(*b);

  EXPECT_TRUE(queue_.empty());
  EXPECT_EQ(queue_.MostUrgent(), nullptr);
  EXPECT_EQ(queue_.size().requests, 0);
  EXPECT_EQ(queue_.size().tokens, 0);
  EXPECT_EQ(queue_.size().bytes, 0);
  EXPECT_THAT(queue_.Take(1).items, IsEmpty());
}

TEST_F(FairQueueTest, ForeseesWhatIsComputedBeforeARequest) {
  Add("a", {100});
  Add("a", {50}, absl::Milliseconds(1));
  Add("flood", {100000});
  Add("small", {7});
  Request next;
  next.tenant = "a";
  next.queued_at = now_;
  next.deadline = now_ + absl::Milliseconds(2);
  next.sequences.emplace_back().ids.resize(10);

  // Its own and the more urgent one of its tenant, as much of the flood, and
  // all of the small tenant.
  EXPECT_EQ(queue_.TokensUntil(next), 60 + 60 + 7);
}

// The bound that the header states, whatever the lengths.
TEST_F(FairQueueTest, NoBusyTenantGetsATurnAndASequenceAheadOfAnother) {
  constexpr int kLongest = 30, kTurn = 10;
  std::mt19937 random(7);
  const std::vector<std::string> tenants = {"a", "b", "c"};
  std::map<std::string, int64_t> taken;
  for (int step = 0; step < 20000; ++step) {
    for (const std::string& tenant : tenants) {
      // "a" sends many short ones, "c" few long ones; all always wait.
      const int longest = tenant == "a" ? 3 : tenant == "b" ? 12 : kLongest;
      while (queue_.SizeOfTenant(tenant).tokens < 2 * kLongest) {
        Add(tenant, {1 + static_cast<int>(random() % longest)});
      }
    }
    for (const Work::Item& item :
         queue_.Take(1 + static_cast<int>(random() % 40)).items) {
      taken[item.request->tenant] += item.request->tokens(item.sequence);
    }
    for (const std::string& tenant : tenants) {
      for (const std::string& other : tenants) {
        ASSERT_LE(taken[tenant] - taken[other], kTurn + kLongest);
      }
    }
  }
}

}  // namespace
}  // namespace tern

// The order in which waiting requests are computed: fair among tenants, urgent
// first within a tenant.
//
// Tenants that wait stand in a ring and take turns. A turn is worth so many
// tokens; what a sequence takes beyond its end is owed in the next turn
// (deficit round robin). So of two tenants that both have work waiting all the
// time, neither gets more than a turn and a sequence ahead of the other,
// however many requests it sends.
//
// Within a tenant the request that is due first goes first. It is due at its
// deadline, or `max_overtaking` after it came if that is sooner: so only
// requests that come within that time of it can overtake it, and none starves.
//
// A batch has one model, that of the request which is first in this order.
// Later requests of the model fill the batch up. A tenant without any keeps its
// place in the ring, so that it leads one of the next batches.
//
// Thread-compatible.

#ifndef TERN_SERVER_FAIR_QUEUE_H_
#define TERN_SERVER_FAIR_QUEUE_H_

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/time/time.h"
#include "server/request.h"

namespace tern {

class FairQueue {
 public:
  struct Options {
    int turn_tokens = 512;
    absl::Duration max_overtaking = absl::Seconds(1);
  };

  // How much waits.
  struct Size {
    int64_t requests = 0;
    int64_t tokens = 0;  // in sequences that were not taken
    int64_t bytes = 0;   // of memory, in requests with such sequences

    Size& operator+=(const Size& other);
    Size& operator-=(const Size& other);
  };

  explicit FairQueue(const Options& options) : options_(options) {}

  // What Add would add.
  static Size SizeOf(const Request& request);

  // Adds a request that has sequences to take and was queued_at now.
  void Add(std::shared_ptr<Request> request);
  // Removes a request that is in the queue.
  void Remove(const Request& request);

  // Takes the next batch: at least one sequence, at most `max_tokens` unless a
  // single one is longer. Empty where nothing waits.
  Work Take(int max_tokens);

  // The request that must be begun first if it shall make its deadline; null
  // where none has a deadline. Once begun, its deadline itself counts.
  std::shared_ptr<Request> MostUrgent() const;

  // The tokens that will be computed until the last one of `request`, which is
  // about to be added, if no other request comes and each tenant gets the same
  // share.
  int64_t TokensUntil(const Request& request) const;

  bool empty() const { return ring_.empty(); }
  const Size& size() const { return size_; }
  Size SizeOfTenant(const std::string& tenant) const;
  // What waits of the other tenants, of whom none counts more than `most`.
  Size SizeOfOthers(const std::string& tenant, const Size& most) const;

 private:
  // When it is due, then in order of arrival.
  using Place = std::pair<absl::Time, int64_t>;
  struct Tenant {
    std::string name;
    std::map<Place, std::shared_ptr<Request>> requests;  // never empty
    Size size;
    int64_t credit = 0;  // tokens left of its turn; owed ones if negative
  };
  using Ring = std::list<Tenant>;

  absl::Time Due(const Request& request) const;
  // Spends the rest of a tenant's turn on sequences of the model. False where
  // the next one does not fit into `work`.
  bool TakeTurn(Tenant& tenant, const ServedModel* model, int max_tokens,
                Work& work);
  void Shrink(Tenant& tenant, const Size& by);

  const Options options_;
  Ring ring_;
  std::map<std::string, Ring::iterator> tenants_;
  std::map<Place, std::shared_ptr<Request>> by_begin_;  // that have a deadline
  Size size_;
  int64_t next_ticket_ = 0;
};

}  // namespace tern

#endif  // TERN_SERVER_FAIR_QUEUE_H_

#include "server/core_budget.h"

#include <algorithm>
#include <utility>

namespace tern {

CoreBudget::Lease::Lease(Lease&& other)
    : budget_(std::exchange(other.budget_, nullptr)), cores_(other.cores_) {}

CoreBudget::Lease::~Lease() {
  if (budget_ == nullptr) return;
  {
    std::lock_guard lock(budget_->mutex_);
    budget_->free_ += cores_;
  }
  budget_->freed_.notify_all();
}

void CoreBudget::Lease::ExtendTo(int cores) {
  std::lock_guard lock(budget_->mutex_);
  const int more = std::clamp(cores - cores_, 0, budget_->free_);
  budget_->free_ -= more;
  cores_ += more;
}

void CoreBudget::Lease::GiveWhatOthersAwait() {
  {
    std::lock_guard lock(budget_->mutex_);
    const int given =
        std::clamp(budget_->awaited_ - budget_->free_, 0, cores_ - 1);
    if (given == 0) return;
    budget_->free_ += given;
    cores_ -= given;
  }
  budget_->freed_.notify_all();
}

CoreBudget::Lease CoreBudget::Acquire() {
  std::unique_lock lock(mutex_);
  ++awaited_;
  freed_.wait(lock, [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return free_ > 0;
  });
  --awaited_;
  --free_;
  return Lease(this);
}

}  // namespace tern

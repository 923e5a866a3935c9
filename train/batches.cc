#include "train/batches.h"

#include <algorithm>
#include <numeric>
#include <random>

#include "ATen/ATen.h"

namespace tern {
namespace {

constexpr int kBatchesPerPool = 32;

// Fisher-Yates; the standard library's shuffle differs between libraries.
template <typename T>
void Shuffle(std::mt19937_64& random, T* items, size_t count) {
  for (size_t i = count; i > 1; --i) {
    std::swap(items[i - 1], items[random() % i]);
  }
}

void SortByLength(absl::Span<const Sequence> sequences, int* begin, int* end) {
  std::stable_sort(begin, end, [&](int a, int b) {
    return sequences[a].ids.size() < sequences[b].ids.size();
  });
}

BatchPlan Cut(const std::vector<int>& order, int batch_size) {
  BatchPlan plan;
  for (size_t i = 0; i < order.size(); i += batch_size) {
    const size_t end = std::min(order.size(), i + batch_size);
    plan.emplace_back(order.begin() + i, order.begin() + end);
  }
  return plan;
}

// TokenBatch::labels.
torch::Tensor MakeLabels(absl::Span<const Sequence> sequences,
                         absl::Span<const int> indices, Task task) {
  const int64_t count = static_cast<int64_t>(indices.size());
  if (task == Task::kRegression) {
    torch::Tensor scores = at::empty({count}, at::kFloat);
    for (int64_t s = 0; s < count; ++s) {
      scores.data_ptr<float>()[s] = sequences[indices[s]].label;
    }
    return scores;
  }
  if (task == Task::kQuestionAnswering) {
    torch::Tensor answers = at::empty({count, 2}, at::kLong);
    for (int64_t s = 0; s < count; ++s) {
      const Sequence& sequence = sequences[indices[s]];
      answers.data_ptr<int64_t>()[2 * s] = sequence.answer_first;
      answers.data_ptr<int64_t>()[2 * s + 1] = sequence.answer_last;
    }
    return answers;
  }
  torch::Tensor classes = at::empty({count}, at::kLong);
  for (int64_t s = 0; s < count; ++s) {
    classes.data_ptr<int64_t>()[s] =
        static_cast<int64_t>(sequences[indices[s]].label);
  }
  return classes;
}

}  // namespace

uint64_t MixSeeds(uint64_t seed, uint64_t other) {
  // SplitMix64's finalizer (Steele et al. 2014).
  uint64_t x = seed + 0x9e3779b97f4a7c15 * (other + 1);
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

BatchPlan PlanEpoch(absl::Span<const Sequence> sequences, int batch_size,
                    uint64_t seed, int64_t epoch) {
  std::mt19937_64 random(MixSeeds(seed, epoch));
  std::vector<int> order(sequences.size());
  std::iota(order.begin(), order.end(), 0);
  Shuffle(random, order.data(), order.size());
  const size_t pool = static_cast<size_t>(batch_size) * kBatchesPerPool;
  for (size_t i = 0; i < order.size(); i += pool) {
    SortByLength(sequences, order.data() + i,
                 order.data() + std::min(order.size(), i + pool));
  }
  BatchPlan plan = Cut(order, batch_size);
  Shuffle(random, plan.data(), plan.size());
  return plan;
}

BatchPlan PlanByLength(absl::Span<const Sequence> sequences, int batch_size) {
  std::vector<int> order(sequences.size());
  std::iota(order.begin(), order.end(), 0);
  SortByLength(sequences, order.data(), order.data() + order.size());
  return Cut(order, batch_size);
}

TokenBatch MakeTokenBatch(absl::Span<const Sequence> sequences,
                          absl::Span<const int> indices, Task task) {
  TokenBatch batch;
  for (int index : indices) {
    const int64_t length = sequences[index].ids.size();
    batch.longest = std::max(batch.longest, length);
    batch.starts.push_back(batch.starts.back() + static_cast<int>(length));
  }
  const int64_t tokens = batch.tokens(), count = batch.sequences();
  batch.ids = at::empty({tokens}, at::kLong);
  batch.type_ids = at::empty({tokens}, at::kLong);
  batch.positions = at::empty({tokens}, at::kLong);
  batch.padded_rows = at::empty({tokens}, at::kLong);
  batch.first_rows = at::empty({count}, at::kLong);
  batch.labels = MakeLabels(sequences, indices, task);
  for (int64_t s = 0; s < count; ++s) {
    const Sequence& sequence = sequences[indices[s]];
    const int64_t start = batch.starts[s];
    for (int64_t i = 0; i < static_cast<int64_t>(sequence.ids.size()); ++i) {
      batch.ids.data_ptr<int64_t>()[start + i] = sequence.ids[i];
      batch.type_ids.data_ptr<int64_t>()[start + i] = sequence.type_ids[i];
      batch.positions.data_ptr<int64_t>()[start + i] = i;
      batch.padded_rows.data_ptr<int64_t>()[start + i] = s * batch.longest + i;
    }
    batch.first_rows.data_ptr<int64_t>()[s] = start;
  }
  return batch;
}

}  // namespace tern

// From sequences to the batches of an epoch.
//
// Thread-safe: pure functions.

#ifndef TERN_TRAIN_BATCHES_H_
#define TERN_TRAIN_BATCHES_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "model/config.h"
#include "train/dataset.h"
#include "train/token_batch.h"

namespace tern {

// Indices of the sequences of each batch.
using BatchPlan = std::vector<std::vector<int>>;

// Shuffles the sequences, then puts those of like length together: pools of
// some batches are sorted by length, cut, and the batches shuffled: so threads,
// which share out a batch's attention by sequence, have alike work, and a
// question answerer's logits little padding. Every sequence is in one batch;
// only the last of the last pool may be smaller. The same seed and epoch give
// the same plan on any machine.
BatchPlan PlanEpoch(absl::Span<const Sequence> sequences, int batch_size,
                    uint64_t seed, int64_t epoch);

// All sequences by length, for evaluation.
BatchPlan PlanByLength(absl::Span<const Sequence> sequences, int batch_size);

// `task` says what the labels are.
TokenBatch MakeTokenBatch(absl::Span<const Sequence> sequences,
                          absl::Span<const int> indices, Task task);

// A seed that depends on both: for an epoch's shuffle, a step's dropout.
uint64_t MixSeeds(uint64_t seed, uint64_t other);

}  // namespace tern

#endif  // TERN_TRAIN_BATCHES_H_

// A tiny BERT in the trainer, and random numbers and texts for it. The same
// each time.

#ifndef TERN_TESTS_TRAIN_TINY_BERT_H_
#define TERN_TESTS_TRAIN_TINY_BERT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "torch/types.h"
#include "train/bert_module.h"
#include "train/dataset.h"
#include "train/token_batch.h"

namespace tern {

// From N(0, 1).
torch::Tensor Random(std::vector<int64_t> shape, uint64_t seed);

// Sequences of 2 to `longest` tokens of TinyVocabulary(), with labels 0 to 2.
TokenizedDataset RandomDataset(int count, int longest);

// All of it as one batch of a classifier.
TokenBatch WholeBatch(const TokenizedDataset& dataset);

// WriteTinyModel's folder, written anew.
std::string TinyFolder();
// The model in it.
BertModule LoadTiny(const BertOptions& options);

}  // namespace tern

#endif  // TERN_TESTS_TRAIN_TINY_BERT_H_

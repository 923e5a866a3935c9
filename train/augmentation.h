// More examples from those there are, by words that a masked language model
// finds as fitting (TinyBERT, Jiao et al. 2019, algorithm 1).
//
// In each copy of an example a word is replaced with a probability, by one of
// the model's best words for its place when the place alone is masked. Only
// words of ASCII letters that are one token are replaced, by others of that
// kind, so a copy has the tokens of its example but for the replaced ones.
//
// Results are kept in a file, a line for each copy: interrupted, a run goes on
// from the last whole example. What is drawn depends on the seed and the
// example alone.
//
// One thread.

#ifndef TERN_TRAIN_AUGMENTATION_H_
#define TERN_TRAIN_AUGMENTATION_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tokenizer/tokenizer.h"
#include "torch/types.h"
#include "train/dataset.h"
#include "train/token_batch.h"

namespace tern {

struct AugmentationOptions {
  int copies = 0;            // of each example; 0: none
  double probability = 0.4;  // that a word is replaced
  int candidates = 15;       // words among which the new one is drawn
  uint64_t seed = 1;
  int max_tokens = 128;  // words past these stay
};

// MaskedLm::Logits.
using WordPredictor = std::function<torch::Tensor(const TokenBatch& batch,
                                                  const torch::Tensor& rows)>;

// The tokens of a text, or pair, that may be replaced.
std::vector<int> ReplaceableTokens(const Encoding& encoding,
                                   const std::vector<std::string>& vocabulary);

// The copies of all examples, in their order. `vocabulary` is the tokenizer's,
// a word for each id. `description` says in words what the copies depend on
// besides the texts: a `cache_path` that was made with another, or of other
// texts, is made anew.
// Errors: INVALID_ARGUMENT for invalid UTF-8, naming file and line, and for a
// vocabulary without [MASK]; UNAVAILABLE where the cache cannot be written.
absl::StatusOr<Dataset> Augment(const Dataset& dataset,
                                const Tokenizer& tokenizer,
                                const std::vector<std::string>& vocabulary,
                                const WordPredictor& predict,
                                const AugmentationOptions& options,
                                const std::string& description,
                                const std::string& cache_path);

}  // namespace tern

#endif  // TERN_TRAIN_AUGMENTATION_H_

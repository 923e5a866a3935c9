// Writes small BERT models for tests: real Hugging Face folders with seeded
// random weights, made in milliseconds.

#ifndef TERN_TESTS_TINY_MODEL_H_
#define TERN_TESTS_TINY_MODEL_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace tern {

enum class TinyTask {
  kSingleLabel,
  kMultiLabel,
  kRegression,  // one output, whatever `labels` says
  kQuestionAnswering,
};

struct TinyModelOptions {
  TinyTask task = TinyTask::kSingleLabel;
  int labels = 3;  // named "label-0", "label-1", ...
  int layers = 2;
  int hidden_size = 64;
  int heads = 2;
  int intermediate_size = 128;
  int max_positions = 128;
  std::string activation = "gelu";
  // A question answerer has no use for a pooler; old ones carry it all the
  // same.
  bool pooler = true;
  uint32_t seed = 1;  // other seeds, other weights
};

// Writes config.json, vocab.txt, tokenizer_config.json and model.safetensors
// (F32) into `folder`, which is made if need be. The same options give the same
// bytes. Weights are large enough that logits differ visibly between texts.
absl::Status WriteTinyModel(const std::string& folder,
                            const TinyModelOptions& options = {});

// Its vocabulary: BERT's special tokens (ids 0 to 4: [PAD], [UNK], [CLS],
// [SEP], [MASK]), every printable ASCII character in lower case, ## pieces of
// all letters and digits, and some words. So no ASCII text has unknown tokens.
std::vector<std::string> TinyVocabulary();

}  // namespace tern

#endif  // TERN_TESTS_TINY_MODEL_H_

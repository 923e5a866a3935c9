// Short names of contents: by them a run that goes on knows that its files are
// those it began with.
//
// Thread-safe: pure functions.

#ifndef TERN_TRAIN_FINGERPRINT_H_
#define TERN_TRAIN_FINGERPRINT_H_

#include <string>

#include "train/bert_module.h"
#include "train/dataset.h"
#include "train/squad.h"

namespace tern {

// 16 hexadecimal digits, of SHA-256: of the texts; of all that a model is
// trained on; of all that its answers are judged by; of names and values.
std::string Fingerprint(const Dataset& dataset);
std::string Fingerprint(const TokenizedDataset& dataset);
std::string Fingerprint(const QuestionSet& set);
std::string Fingerprint(const TensorMap& tensors);

}  // namespace tern

#endif  // TERN_TRAIN_FINGERPRINT_H_

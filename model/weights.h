// From tensors in a file to layers in memory.
//
// Knows Hugging Face's tensor names, old ones included, and turns each matrix
// into the form that the chosen precision runs.

#ifndef TERN_MODEL_WEIGHTS_H_
#define TERN_MODEL_WEIGHTS_H_

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "kernels/variant.h"
#include "model/config.h"
#include "model/engine.h"
#include "model/layers.h"
#include "model/safetensors.h"

namespace tern {

struct BertWeights {
  std::unique_ptr<const Embeddings> embeddings;
  std::vector<std::unique_ptr<const EncoderLayer>> layers;
  Head head;
};

// Errors: NOT_FOUND or INVALID_ARGUMENT naming the tensor, what was expected
// and what was found.
absl::StatusOr<BertWeights> LoadWeights(const Safetensors& file,
                                        const BertConfig& config,
                                        Precision precision,
                                        const Variant& variant);

}  // namespace tern

#endif  // TERN_MODEL_WEIGHTS_H_

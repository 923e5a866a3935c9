// Looks into a model folder and checks it, for tools; the engine has its own,
// faster way (weights.h).
//
// Thread-safe: pure functions.

#ifndef TERN_MODEL_INSPECT_FOLDER_H_
#define TERN_MODEL_INSPECT_FOLDER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/config.h"
#include "model/safetensors.h"
#include "model/tensor_names.h"

namespace tern {

struct ModelFolder {
  std::string path;
  BertConfig config;
  std::unique_ptr<Safetensors> file;
  std::vector<ExpectedTensor> tensors;  // what the model uses
};

// Reads config.json and model.safetensors, but no tensor's contents.
absl::StatusOr<ModelFolder> OpenFolder(const std::string& path);

// A tensor of the model as floats; ternary ones as scale * t.
absl::StatusOr<std::vector<float>> ReadAsFloats(const ModelFolder& model,
                                                const ExpectedTensor& tensor);

// Bytes of tensors, without the file's header.
struct TensorBytes {
  int64_t stored = 0;  // scales included
  int64_t fp32 = 0;    // four for each weight

  double ratio() const {
    return stored == 0 ? 0 : static_cast<double>(fp32) / stored;
  }
};

struct ModelBytes {
  TensorBytes all;      // that the model uses
  TensorBytes encoder;  // of its layers: all but embeddings, pooler and head
};

// Errors: NOT_FOUND for a missing tensor.
absl::StatusOr<ModelBytes> CountBytes(const ModelFolder& model);

// Reads everything: each tensor's name, dtype, shape and values, the checksums,
// and that vocab.txt fits the word embeddings. Only an ordinary folder may lack
// checksums; `has_checksums` says whether there were any.
struct Verified {
  int tensors = 0;
  bool has_checksums = false;
};
absl::StatusOr<Verified> VerifyFolder(const std::string& path);

}  // namespace tern

#endif  // TERN_MODEL_INSPECT_FOLDER_H_

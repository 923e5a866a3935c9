// The tensors of a model: their names, shapes and how a ternary folder stores
// them. Loader, exporter and `tern-model` all read this one list.
//
// Names are those of Hugging Face's current classes for the model's family
// ("bert.encoder.layer.0.attention.self.query.weight").
//
// Thread-safe: pure functions.

#ifndef TERN_MODEL_TENSOR_NAMES_H_
#define TERN_MODEL_TENSOR_NAMES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "model/config.h"
#include "model/safetensors.h"

namespace tern {

// What a family calls its parts. A Linear or LayerNorm has two tensors, the
// name plus ".weight" and ".bias"; an embedding has one, plus ".weight".
struct EmbeddingNames {
  std::string words, positions;
  std::string types;           // empty: the family has no token types
  std::string transformation;  // empty: words are as wide as hidden states
  std::string norm;
};
// A Linear and the LayerNorm after it.
struct DenseNormNames {
  std::string dense, norm;
};
struct FeedForwardNames {
  std::string intermediate;
  DenseNormNames output;
};
struct LayerNames {
  std::string query, key, value;
  DenseNormNames attention_output;
  std::vector<FeedForwardNames> feed_forwards;  // in the order of their work
};
// What MobileBERT has around a layer.
struct BottleneckNames {
  DenseNormNames input, attention, output;
};
struct HeadNames {
  std::string pooler;  // the first Linear of a classifier's head
  std::string logits;  // the Linear that makes the logits; empty without one
};
EmbeddingNames EmbeddingNamesOf(Family family);
LayerNames LayerNamesOf(const BertConfig& config, int layer);
BottleneckNames BottleneckNamesOf(int layer);
HeadNames HeadNamesOf(const BertConfig& config);

// Whether a model of this configuration has a pooler: classifiers have one
// where `file` does, those of DistilBERT always, those of MobileBERT where the
// configuration says so.
bool HasPooler(const BertConfig& config, const Safetensors& file);

// How a ternary folder stores a tensor.
enum class Storage {
  kFloat,             // F32
  kHalf,              // F16: position embeddings
  kTernaryPerMatrix,  // codes and one scale: Linear layers
  kTernaryPerRow,     // codes and a scale for each row: word embeddings
};

// What is ternary: every Linear weight but that of the logits, and the word
// embeddings.
Storage StorageOf(absl::string_view name);

inline bool IsTernary(Storage storage) {
  return storage == Storage::kTernaryPerMatrix ||
         storage == Storage::kTernaryPerRow;
}

// Of a tensor that is not ternary, in a ternary folder.
inline DType FloatTypeOf(Storage storage) {
  return storage == Storage::kHalf ? DType::kF16 : DType::kF32;
}

// Whether a tensor belongs to the layers between embeddings and head.
bool InEncoder(absl::string_view name);

struct ExpectedTensor {
  std::string name;
  std::vector<int64_t> shape;
  Storage storage = Storage::kFloat;

  bool ternary() const { return IsTernary(storage); }
};

// Every tensor that a model of this configuration has, layer by layer.
std::vector<ExpectedTensor> ExpectedTensors(const BertConfig& config,
                                            const Safetensors& file);

// The name under which `file` holds the tensor `name`: the same, or, in older
// files, without the family's prefix or with LayerNorm's gamma and beta.
// Errors: NOT_FOUND naming file and tensor.
absl::StatusOr<std::string> FindTensor(const Safetensors& file,
                                       absl::string_view name);

}  // namespace tern

#endif  // TERN_MODEL_TENSOR_NAMES_H_

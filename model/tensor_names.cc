#include "model/tensor_names.h"

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"

namespace tern {
namespace {

constexpr absl::string_view kWordEmbeddings =
    "bert.embeddings.word_embeddings.weight";
constexpr absl::string_view kPooler = "bert.pooler.dense.weight";

class TensorList {
 public:
  void Add(const std::string& name, std::vector<int64_t> shape) {
    list_.push_back({name, std::move(shape), StorageOf(name)});
  }
  void AddLinear(const std::string& name, int64_t n, int64_t k) {
    Add(name + ".weight", {n, k});
    Add(name + ".bias", {n});
  }
  void AddLayerNorm(const std::string& name, int64_t size) {
    Add(name + ".weight", {size});
    Add(name + ".bias", {size});
  }
  std::vector<ExpectedTensor> Take() { return std::move(list_); }

 private:
  std::vector<ExpectedTensor> list_;
};

}  // namespace

Storage StorageOf(absl::string_view name) {
  if (name == kWordEmbeddings) return Storage::kTernaryPerRow;
  if (name == kPooler) return Storage::kTernaryPerMatrix;
  const bool linear = absl::StartsWith(name, "bert.encoder.") &&
                      absl::EndsWith(name, ".weight") &&
                      !absl::EndsWith(name, ".LayerNorm.weight");
  return linear ? Storage::kTernaryPerMatrix : Storage::kFloat;
}

std::vector<ExpectedTensor> ExpectedTensors(const BertConfig& config,
                                            const Safetensors& file) {
  const int64_t hidden = config.hidden_size;
  TensorList list;
  list.Add(std::string(kWordEmbeddings), {config.vocabulary_size, hidden});
  list.Add("bert.embeddings.position_embeddings.weight",
           {config.max_positions, hidden});
  list.Add("bert.embeddings.token_type_embeddings.weight",
           {config.type_vocabulary_size, hidden});
  list.AddLayerNorm("bert.embeddings.LayerNorm", hidden);

  for (int i = 0; i < config.layers; ++i) {
    const std::string layer = absl::StrCat("bert.encoder.layer.", i, ".");
    list.AddLinear(layer + "attention.self.query", hidden, hidden);
    list.AddLinear(layer + "attention.self.key", hidden, hidden);
    list.AddLinear(layer + "attention.self.value", hidden, hidden);
    list.AddLinear(layer + "attention.output.dense", hidden, hidden);
    list.AddLayerNorm(layer + "attention.output.LayerNorm", hidden);
    list.AddLinear(layer + "intermediate.dense", config.intermediate_size,
                   hidden);
    list.AddLinear(layer + "output.dense", hidden, config.intermediate_size);
    list.AddLayerNorm(layer + "output.LayerNorm", hidden);
  }

  if (config.task == Task::kQuestionAnswering) {
    list.AddLinear("qa_outputs", config.outputs(), hidden);
  } else {
    if (FindTensor(file, kPooler).ok()) {
      list.AddLinear("bert.pooler.dense", hidden, hidden);
    }
    list.AddLinear("classifier", config.outputs(), hidden);
  }
  return list.Take();
}

absl::StatusOr<std::string> FindTensor(const Safetensors& file,
                                       absl::string_view name) {
  const std::string current(name);
  const std::string old =
      absl::StrReplaceAll(name, {{"LayerNorm.weight", "LayerNorm.gamma"},
                                 {"LayerNorm.bias", "LayerNorm.beta"}});
  for (const std::string& spelling : {current, old}) {
    if (file.Has(spelling)) return spelling;
    const absl::string_view bare = absl::StripPrefix(spelling, "bert.");
    if (file.Has(bare)) return std::string(bare);
  }
  return absl::NotFoundError(
      absl::StrCat(file.path(), ": tensor '", name, "' is missing"));
}

}  // namespace tern

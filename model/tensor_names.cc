#include "model/tensor_names.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"

namespace tern {
namespace {

constexpr absl::string_view kWordEmbeddings = "embeddings.word_embeddings";
constexpr absl::string_view kBertPooler = "bert.pooler.dense";
constexpr absl::string_view kDistilBertPooler = "pre_classifier";

// "bert." or "distilbert.", before every name but the head's.
absl::string_view Prefix(Family family) {
  return family == Family::kBert ? "bert." : "distilbert.";
}

class TensorList {
 public:
  void Add(const std::string& name, std::vector<int64_t> shape) {
    list_.push_back({name, std::move(shape), StorageOf(name)});
  }
  void AddEmbedding(const std::string& name, int64_t n, int64_t k) {
    Add(name + ".weight", {n, k});
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

EmbeddingNames EmbeddingNamesOf(Family family) {
  const std::string prefix = absl::StrCat(Prefix(family), "embeddings.");
  EmbeddingNames names;
  names.words = absl::StrCat(Prefix(family), kWordEmbeddings);
  names.positions = prefix + "position_embeddings";
  if (family == Family::kBert) names.types = prefix + "token_type_embeddings";
  names.norm = prefix + "LayerNorm";
  return names;
}

LayerNames LayerNamesOf(Family family, int layer) {
  if (family == Family::kDistilBert) {
    const std::string prefix =
        absl::StrCat("distilbert.transformer.layer.", layer, ".");
    return {.query = prefix + "attention.q_lin",
            .key = prefix + "attention.k_lin",
            .value = prefix + "attention.v_lin",
            .attention_output = prefix + "attention.out_lin",
            .attention_norm = prefix + "sa_layer_norm",
            .intermediate = prefix + "ffn.lin1",
            .output = prefix + "ffn.lin2",
            .output_norm = prefix + "output_layer_norm"};
  }
  const std::string prefix = absl::StrCat("bert.encoder.layer.", layer, ".");
  return {.query = prefix + "attention.self.query",
          .key = prefix + "attention.self.key",
          .value = prefix + "attention.self.value",
          .attention_output = prefix + "attention.output.dense",
          .attention_norm = prefix + "attention.output.LayerNorm",
          .intermediate = prefix + "intermediate.dense",
          .output = prefix + "output.dense",
          .output_norm = prefix + "output.LayerNorm"};
}

HeadNames HeadNamesOf(const BertConfig& config) {
  HeadNames names;
  names.pooler = std::string(
      config.family == Family::kBert ? kBertPooler : kDistilBertPooler);
  if (config.task == Task::kQuestionAnswering) {
    names.logits = "qa_outputs";
  } else if (config.task != Task::kEmbedding) {
    names.logits = "classifier";
  }
  return names;
}

bool HasPooler(const BertConfig& config, const Safetensors& file) {
  if (config.task == Task::kQuestionAnswering ||
      config.task == Task::kEmbedding) {
    return false;
  }
  return config.family == Family::kDistilBert ||
         FindTensor(file, absl::StrCat(kBertPooler, ".weight")).ok();
}

Storage StorageOf(absl::string_view name) {
  if (!absl::ConsumeSuffix(&name, ".weight")) return Storage::kFloat;
  if (name == kBertPooler || name == kDistilBertPooler) {
    return Storage::kTernaryPerMatrix;
  }
  for (const Family family : {Family::kBert, Family::kDistilBert}) {
    if (name == absl::StrCat(Prefix(family), kWordEmbeddings)) {
      return Storage::kTernaryPerRow;
    }
  }
  const bool norm =
      absl::EndsWith(name, "LayerNorm") || absl::EndsWith(name, "_layer_norm");
  return InEncoder(name) && !norm ? Storage::kTernaryPerMatrix
                                  : Storage::kFloat;
}

bool InEncoder(absl::string_view name) {
  return absl::StartsWith(name, "bert.encoder.") ||
         absl::StartsWith(name, "distilbert.transformer.");
}

std::vector<ExpectedTensor> ExpectedTensors(const BertConfig& config,
                                            const Safetensors& file) {
  const int64_t hidden = config.hidden_size;
  const int64_t wide = config.intermediate_size;
  TensorList list;
  const EmbeddingNames embeddings = EmbeddingNamesOf(config.family);
  list.AddEmbedding(embeddings.words, config.vocabulary_size, hidden);
  list.AddEmbedding(embeddings.positions, config.max_positions, hidden);
  if (!embeddings.types.empty()) {
    list.AddEmbedding(embeddings.types, config.type_vocabulary_size, hidden);
  }
  list.AddLayerNorm(embeddings.norm, hidden);

  for (int i = 0; i < config.layers; ++i) {
    const LayerNames layer = LayerNamesOf(config.family, i);
    list.AddLinear(layer.query, hidden, hidden);
    list.AddLinear(layer.key, hidden, hidden);
    list.AddLinear(layer.value, hidden, hidden);
    list.AddLinear(layer.attention_output, hidden, hidden);
    list.AddLayerNorm(layer.attention_norm, hidden);
    list.AddLinear(layer.intermediate, wide, hidden);
    list.AddLinear(layer.output, hidden, wide);
    list.AddLayerNorm(layer.output_norm, hidden);
  }

  const HeadNames head = HeadNamesOf(config);
  if (HasPooler(config, file)) list.AddLinear(head.pooler, hidden, hidden);
  if (!head.logits.empty()) {
    list.AddLinear(head.logits, config.outputs(), hidden);
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
    for (const Family family : {Family::kBert, Family::kDistilBert}) {
      const absl::string_view bare =
          absl::StripPrefix(spelling, Prefix(family));
      if (file.Has(bare)) return std::string(bare);
    }
  }
  return absl::NotFoundError(
      absl::StrCat(file.path(), ": tensor '", name, "' is missing"));
}

}  // namespace tern

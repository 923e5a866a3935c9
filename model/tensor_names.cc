#include "model/tensor_names.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"

namespace tern {
namespace {

constexpr Family kFamilies[] = {Family::kBert, Family::kDistilBert,
                                Family::kMobileBert};

// Before every name but the head's.
absl::string_view Prefix(Family family) {
  switch (family) {
    case Family::kBert:
      return "bert.";
    case Family::kDistilBert:
      return "distilbert.";
    case Family::kMobileBert:
      return "mobilebert.";
  }
  return "";
}

// The layers between embeddings and head.
std::string EncoderPrefix(Family family) {
  return absl::StrCat(Prefix(family), family == Family::kDistilBert
                                          ? "transformer."
                                          : "encoder.");
}

std::string LayerPrefix(Family family, int layer) {
  return absl::StrCat(EncoderPrefix(family), "layer.", layer, ".");
}

std::string PoolerName(Family family) {
  if (family == Family::kDistilBert) return "pre_classifier";
  return absl::StrCat(Prefix(family), "pooler.dense");
}

// Hugging Face's usual names of a Linear with a LayerNorm.
DenseNormNames DenseNorm(const std::string& prefix) {
  return {prefix + "dense", prefix + "LayerNorm"};
}

FeedForwardNames FeedForward(const std::string& prefix) {
  return {prefix + "intermediate.dense", DenseNorm(prefix + "output.")};
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
  void AddDenseNorm(const DenseNormNames& names, int64_t n, int64_t k) {
    AddLinear(names.dense, n, k);
    AddLayerNorm(names.norm, n);
  }
  std::vector<ExpectedTensor> Take() { return std::move(list_); }

 private:
  std::vector<ExpectedTensor> list_;
};

void AddEmbeddings(const BertConfig& config, TensorList& list) {
  const EmbeddingNames names = EmbeddingNamesOf(config.family);
  const int64_t hidden = config.hidden_size;
  list.AddEmbedding(names.words, config.vocabulary_size, config.word_size());
  list.AddEmbedding(names.positions, config.max_positions, hidden);
  if (!names.types.empty()) {
    list.AddEmbedding(names.types, config.type_vocabulary_size, hidden);
  }
  if (!names.transformation.empty()) {
    list.AddLinear(names.transformation, hidden, 3 * config.word_size());
  }
  list.AddLayerNorm(names.norm, hidden);
}

void AddLayer(const BertConfig& config, int index, TensorList& list) {
  const LayerNames names = LayerNamesOf(config, index);
  const int64_t size = config.attention_size();
  const int64_t wide = config.intermediate_size;
  list.AddLinear(names.query, size, size);
  list.AddLinear(names.key, size, size);
  list.AddLinear(names.value, size, config.value_input_size());
  list.AddDenseNorm(names.attention_output, size, size);
  for (const FeedForwardNames& feed_forward : names.feed_forwards) {
    list.AddLinear(feed_forward.intermediate, wide, size);
    list.AddDenseNorm(feed_forward.output, size, wide);
  }
}

void AddBottlenecks(const BertConfig& config, int index, TensorList& list) {
  const BottleneckNames names = BottleneckNamesOf(index);
  const int64_t hidden = config.hidden_size;
  const int64_t size = config.attention_size();
  list.AddDenseNorm(names.input, size, hidden);
  if (!config.mobilebert.attends_bottleneck) {
    list.AddDenseNorm(names.attention, size, hidden);
  }
  list.AddDenseNorm(names.output, hidden, size);
}

}  // namespace

EmbeddingNames EmbeddingNamesOf(Family family) {
  const std::string prefix = absl::StrCat(Prefix(family), "embeddings.");
  EmbeddingNames names;
  names.words = prefix + "word_embeddings";
  names.positions = prefix + "position_embeddings";
  if (family != Family::kDistilBert) {
    names.types = prefix + "token_type_embeddings";
  }
  if (family == Family::kMobileBert) {
    names.transformation = prefix + "embedding_transformation";
  }
  names.norm = prefix + "LayerNorm";
  return names;
}

LayerNames LayerNamesOf(const BertConfig& config, int layer) {
  const std::string prefix = LayerPrefix(config.family, layer);
  if (config.family == Family::kDistilBert) {
    return {.query = prefix + "attention.q_lin",
            .key = prefix + "attention.k_lin",
            .value = prefix + "attention.v_lin",
            .attention_output = {prefix + "attention.out_lin",
                                 prefix + "sa_layer_norm"},
            .feed_forwards = {
                {prefix + "ffn.lin1",
                 {prefix + "ffn.lin2", prefix + "output_layer_norm"}}}};
  }
  LayerNames names = {
      .query = prefix + "attention.self.query",
      .key = prefix + "attention.self.key",
      .value = prefix + "attention.self.value",
      .attention_output = DenseNorm(prefix + "attention.output."),
      .feed_forwards = {}};
  for (int i = 0; i + 1 < config.mobilebert.feed_forwards; ++i) {
    names.feed_forwards.push_back(
        FeedForward(absl::StrCat(prefix, "ffn.", i, ".")));
  }
  names.feed_forwards.push_back(FeedForward(prefix));
  return names;
}

BottleneckNames BottleneckNamesOf(int layer) {
  const std::string prefix = LayerPrefix(Family::kMobileBert, layer);
  return {.input = DenseNorm(prefix + "bottleneck.input."),
          .attention = DenseNorm(prefix + "bottleneck.attention."),
          .output = DenseNorm(prefix + "output.bottleneck.")};
}

HeadNames HeadNamesOf(const BertConfig& config) {
  HeadNames names;
  names.pooler = PoolerName(config.family);
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
  switch (config.family) {
    case Family::kBert:
      return FindTensor(file, PoolerName(config.family) + ".weight").ok();
    case Family::kDistilBert:
      return true;
    case Family::kMobileBert:
      return config.mobilebert.pooler;
  }
  return false;
}

Storage StorageOf(absl::string_view name) {
  if (!absl::ConsumeSuffix(&name, ".weight")) return Storage::kFloat;
  for (const Family family : kFamilies) {
    const EmbeddingNames embeddings = EmbeddingNamesOf(family);
    if (name == embeddings.words) return Storage::kTernaryPerRow;
    if (name == embeddings.positions) return Storage::kHalf;
    if (name == embeddings.transformation || name == PoolerName(family)) {
      return Storage::kTernaryPerMatrix;
    }
  }
  const bool norm =
      absl::EndsWith(name, "LayerNorm") || absl::EndsWith(name, "_layer_norm");
  return InEncoder(name) && !norm ? Storage::kTernaryPerMatrix
                                  : Storage::kFloat;
}

bool InEncoder(absl::string_view name) {
  for (const Family family : kFamilies) {
    if (absl::StartsWith(name, EncoderPrefix(family))) return true;
  }
  return false;
}

std::vector<ExpectedTensor> ExpectedTensors(const BertConfig& config,
                                            const Safetensors& file) {
  const int64_t hidden = config.hidden_size;
  TensorList list;
  AddEmbeddings(config, list);
  for (int i = 0; i < config.layers; ++i) {
    AddLayer(config, i, list);
    if (config.family == Family::kMobileBert) AddBottlenecks(config, i, list);
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
    for (const Family family : kFamilies) {
      const absl::string_view bare =
          absl::StripPrefix(spelling, Prefix(family));
      if (file.Has(bare)) return std::string(bare);
    }
  }
  return absl::NotFoundError(
      absl::StrCat(file.path(), ": tensor '", name, "' is missing"));
}

}  // namespace tern

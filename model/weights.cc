#include "model/weights.h"

#include <string>
#include <utility>

#include "model/tensor_names.h"
#include "model/ternary_folder.h"

namespace tern {
namespace {

// Reads tensors by their canonical names. The first error ends all: later reads
// return empty values, and status() says what went wrong.
class WeightReader {
 public:
  WeightReader(const Safetensors& file, const BertConfig& config,
               Precision precision, const Variant& variant)
      : file_(file),
        config_(config),
        precision_(precision),
        variant_(variant) {}

  const absl::Status& status() const { return status_; }

  std::vector<float> Floats(const std::string& name,
                            std::vector<int64_t> shape) {
    const std::string stored = Take(FindTensor(file_, name));
    if (!status_.ok()) return {};
    return Take(file_.ReadFloats(stored, shape));
  }

  LayerNorm Norm(const std::string& name) {
    return {Floats(name + ".weight", {config_.hidden_size}),
            Floats(name + ".bias", {config_.hidden_size})};
  }

  std::unique_ptr<Linear> MakeLinear(const std::string& name, int n, int k) {
    std::vector<float> bias = Floats(name + ".bias", {n});
    if (precision_ == Precision::kTernary) {
      const TernaryMatrix w =
          Take(ReadTernaryMatrix(file_, name + ".weight", n, k));
      if (!status_.ok()) return nullptr;
      return MakeTernaryLinear(variant_, w, std::move(bias));
    }
    const std::vector<float> w = Matrix(name + ".weight", n, k);
    if (!status_.ok()) return nullptr;
    return precision_ == Precision::kInt8 ? MakeInt8Linear(n, k, w, bias)
                                          : MakeFp32Linear(n, k, w, bias);
  }

  WordEmbeddings Words(const std::string& name) {
    const int n = config_.vocabulary_size;
    const int k = config_.hidden_size;
    WordEmbeddings words;
    if (precision_ == Precision::kTernary) {
      TernaryRows rows = Take(ReadTernaryRows(file_, name, n, k));
      words.codes.assign(rows.codes.begin(), rows.codes.end());
      words.scales = std::move(rows.scales);
    } else {
      words.floats = Matrix(name, n, k);
    }
    return words;
  }

 private:
  // [n, k] as floats, whatever the folder holds.
  std::vector<float> Matrix(const std::string& name, int n, int k) {
    if (!config_.ternary) return Floats(name, {n, k});
    return Take(ReadTernaryAsFloats(file_, name, n, k));
  }

  template <typename T>
  T Take(absl::StatusOr<T> value) {
    if (value.ok()) return *std::move(value);
    if (status_.ok()) status_ = value.status();
    return T{};
  }

  const Safetensors& file_;
  const BertConfig& config_;
  const Precision precision_;
  const Variant& variant_;
  absl::Status status_;
};

Embeddings ReadEmbeddings(WeightReader& reader, const BertConfig& config) {
  const EmbeddingNames names = EmbeddingNamesOf(config.family);
  Embeddings embeddings;
  embeddings.words = reader.Words(names.words + ".weight");
  embeddings.positions = reader.Floats(
      names.positions + ".weight", {config.max_positions, config.hidden_size});
  if (!names.types.empty()) {
    embeddings.types =
        reader.Floats(names.types + ".weight",
                      {config.type_vocabulary_size, config.hidden_size});
  }
  embeddings.norm = reader.Norm(names.norm);
  return embeddings;
}

EncoderLayer ReadLayer(WeightReader& reader, const BertConfig& config,
                       int index) {
  const LayerNames names = LayerNamesOf(config.family, index);
  const int hidden = config.hidden_size;
  const int wide = config.intermediate_size;
  EncoderLayer layer;
  layer.query = reader.MakeLinear(names.query, hidden, hidden);
  layer.key = reader.MakeLinear(names.key, hidden, hidden);
  layer.value = reader.MakeLinear(names.value, hidden, hidden);
  layer.attention_output =
      reader.MakeLinear(names.attention_output, hidden, hidden);
  layer.attention_norm = reader.Norm(names.attention_norm);
  layer.intermediate = reader.MakeLinear(names.intermediate, wide, hidden);
  layer.output = reader.MakeLinear(names.output, hidden, wide);
  layer.output_norm = reader.Norm(names.output_norm);
  return layer;
}

Head ReadHead(WeightReader& reader, const BertConfig& config, bool has_pooler) {
  const HeadNames names = HeadNamesOf(config);
  Head head;
  if (has_pooler) {
    head.pooler =
        reader.MakeLinear(names.pooler, config.hidden_size, config.hidden_size);
    head.pooler_activation =
        config.family == Family::kBert ? Activation::kTanh : Activation::kRelu;
  }
  if (names.logits.empty()) return head;
  head.weight = reader.Floats(names.logits + ".weight",
                              {config.outputs(), config.hidden_size});
  head.bias = reader.Floats(names.logits + ".bias", {config.outputs()});
  return head;
}

}  // namespace

absl::StatusOr<BertWeights> LoadWeights(const Safetensors& file,
                                        const BertConfig& config,
                                        Precision precision,
                                        const Variant& variant) {
  WeightReader reader(file, config, precision, variant);
  BertWeights weights;
  weights.embeddings = ReadEmbeddings(reader, config);
  for (int i = 0; i < config.layers && reader.status().ok(); ++i) {
    weights.layers.push_back(ReadLayer(reader, config, i));
  }
  weights.head = ReadHead(reader, config, HasPooler(config, file));
  if (!reader.status().ok()) return reader.status();
  return weights;
}

}  // namespace tern

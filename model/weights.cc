#include "model/weights.h"

#include <string>
#include <utility>

#include "model/mobilebert_layer.h"
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

  LayerNorm Norm(const std::string& name, int k) {
    return {.gamma = Floats(name + ".weight", {k}),
            .beta = Floats(name + ".bias", {k}),
            .normalize = config_.layer_norm,
            .epsilon = config_.layer_norm_epsilon};
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

  DenseNorm MakeDenseNorm(const DenseNormNames& names, int n, int k) {
    return {MakeLinear(names.dense, n, k), Norm(names.norm, n)};
  }

  // [n, hidden]
  std::vector<float> EmbeddingTable(const std::string& name, int n) {
    return Floats(name + ".weight", {n, config_.hidden_size});
  }

  WordEmbeddings Words(const std::string& name) {
    const int n = config_.vocabulary_size;
    const int k = config_.word_size();
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

// What transformers' MobileBERT leaves at PyTorch's default, whatever
// config.json says.
constexpr float kDefaultEpsilon = 1e-5f;

// What every family's embeddings have.
template <typename Embeddings>
void ReadTables(WeightReader& reader, const BertConfig& config,
                const EmbeddingNames& names, Embeddings& embeddings) {
  embeddings.words = reader.Words(names.words + ".weight");
  embeddings.positions =
      reader.EmbeddingTable(names.positions, config.max_positions);
  if (!names.types.empty()) {
    embeddings.types =
        reader.EmbeddingTable(names.types, config.type_vocabulary_size);
  }
  embeddings.norm = reader.Norm(names.norm, config.hidden_size);
}

std::unique_ptr<const Embeddings> ReadEmbeddings(WeightReader& reader,
                                                 const BertConfig& config) {
  const EmbeddingNames names = EmbeddingNamesOf(config.family);
  if (config.family == Family::kMobileBert) {
    auto embeddings = std::make_unique<MobileBertEmbeddings>();
    ReadTables(reader, config, names, *embeddings);
    embeddings->norm.epsilon = kDefaultEpsilon;
    embeddings->transformation = reader.MakeLinear(
        names.transformation, config.hidden_size, 3 * config.word_size());
    return embeddings;
  }
  auto embeddings = std::make_unique<BertEmbeddings>();
  ReadTables(reader, config, names, *embeddings);
  return embeddings;
}

// What every family's layers have.
template <typename Layer>
void ReadAttention(WeightReader& reader, const BertConfig& config,
                   const LayerNames& names, Layer& layer) {
  const int size = config.attention_size();
  layer.query = reader.MakeLinear(names.query, size, size);
  layer.key = reader.MakeLinear(names.key, size, size);
  layer.value = reader.MakeLinear(names.value, size, config.value_input_size());
  layer.attention_output =
      reader.MakeDenseNorm(names.attention_output, size, size);
}

FeedForwardNetwork ReadFeedForward(WeightReader& reader,
                                   const BertConfig& config,
                                   const FeedForwardNames& names) {
  const int size = config.attention_size();
  const int wide = config.intermediate_size;
  return {reader.MakeLinear(names.intermediate, wide, size),
          reader.MakeDenseNorm(names.output, size, wide)};
}

std::unique_ptr<const EncoderLayer> ReadLayer(WeightReader& reader,
                                              const BertConfig& config,
                                              int index) {
  const LayerNames names = LayerNamesOf(config, index);
  auto layer = std::make_unique<BertLayer>();
  ReadAttention(reader, config, names, *layer);
  layer->feed_forward =
      ReadFeedForward(reader, config, names.feed_forwards.front());
  return layer;
}

std::unique_ptr<const EncoderLayer> ReadMobileBertLayer(
    WeightReader& reader, const BertConfig& config, int index) {
  const LayerNames names = LayerNamesOf(config, index);
  const BottleneckNames bottlenecks = BottleneckNamesOf(index);
  const int hidden = config.hidden_size;
  const int size = config.attention_size();
  auto layer = std::make_unique<MobileBertLayer>();
  ReadAttention(reader, config, names, *layer);
  for (const FeedForwardNames& feed_forward : names.feed_forwards) {
    layer->feed_forwards.push_back(
        ReadFeedForward(reader, config, feed_forward));
  }
  layer->feed_forwards.back().output.norm.epsilon = kDefaultEpsilon;
  layer->input = reader.MakeDenseNorm(bottlenecks.input, size, hidden);
  if (!config.mobilebert.attends_bottleneck) {
    layer->attention_input =
        reader.MakeDenseNorm(bottlenecks.attention, size, hidden);
  }
  layer->output = reader.MakeDenseNorm(bottlenecks.output, hidden, size);
  return layer;
}

Head ReadHead(WeightReader& reader, const BertConfig& config, bool has_pooler) {
  const HeadNames names = HeadNamesOf(config);
  Head head;
  if (has_pooler) {
    head.pooler =
        reader.MakeLinear(names.pooler, config.hidden_size, config.hidden_size);
    head.pooler_activation = config.family == Family::kDistilBert
                                 ? Activation::kRelu
                                 : Activation::kTanh;
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
  const auto read_layer =
      config.family == Family::kMobileBert ? ReadMobileBertLayer : ReadLayer;
  for (int i = 0; i < config.layers && reader.status().ok(); ++i) {
    weights.layers.push_back(read_layer(reader, config, i));
  }
  weights.head = ReadHead(reader, config, HasPooler(config, file));
  if (!reader.status().ok()) return reader.status();
  return weights;
}

}  // namespace tern

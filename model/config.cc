#include "model/config.h"

#include <cmath>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "model/json_file.h"
#include "model/sentence_transformer.h"

namespace tern {
namespace {

using nlohmann::json;

// Bounds above any BERT, which keep products of sizes in 64 bits and integer
// sums in 32: an int8 dot product's 255 * 127 a column, attention's 255 * 255 a
// token and a column of a head (kernels/variant.h, kernels/attention.h).
constexpr int kMaxLayers = 1024;
constexpr int kMaxWidth = 1 << 16;
constexpr int kMaxVocabulary = 1 << 24;
constexpr int kMaxPositions = 1 << 15;
constexpr int kMaxHeadDim = 1 << 15;
constexpr int kMaxTypes = 1 << 10;
constexpr int kMaxLabels = 1 << 16;
constexpr int kMaxFeedForwards = 64;

std::string Text(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace)
      .substr(0, 100);
}

absl::Status Bad(absl::string_view key, absl::string_view expected,
                 absl::string_view found) {
  return absl::InvalidArgumentError(
      absl::StrCat("'", key, "': expected ", expected, ", found ", found));
}

// The value of `key`, or null where it is missing: Hugging Face writes null for
// what is not set.
const json& Get(const json& config, const char* key) {
  static const json& null = *new json();
  const auto found = config.find(key);
  return found == config.end() ? null : *found;
}

absl::Status ReadSize(const json& config, const char* key, int max, int& size) {
  const json& value = Get(config, key);
  if (!value.is_number_unsigned() || value.get<uint64_t>() < 1 ||
      value.get<uint64_t>() > static_cast<uint64_t>(max)) {
    return Bad(key, absl::StrCat("an integer from 1 to ", max), Text(value));
  }
  size = value.get<int>();
  return absl::OkStatus();
}

// A flag, or `otherwise` where it is not set.
absl::Status ReadFlag(const json& config, const char* key, bool otherwise,
                      bool& flag) {
  const json& value = Get(config, key);
  if (!value.is_null() && !value.is_boolean()) {
    return Bad(key, "true or false", Text(value));
  }
  flag = value.is_null() ? otherwise : value.get<bool>();
  return absl::OkStatus();
}

// How a family spells what its config.json says.
struct Keys {
  const char* layers;
  const char* hidden_size;
  const char* heads;
  const char* intermediate_size;
  const char* types;  // null: the family has no token types
  const char* activation;
  const char* default_activation;
  const char* architecture_prefix;
};

const Keys& KeysOf(Family family) {
  static constexpr Keys kBertKeys = {.layers = "num_hidden_layers",
                                     .hidden_size = "hidden_size",
                                     .heads = "num_attention_heads",
                                     .intermediate_size = "intermediate_size",
                                     .types = "type_vocab_size",
                                     .activation = "hidden_act",
                                     .default_activation = "gelu",
                                     .architecture_prefix = "Bert"};
  static constexpr Keys kDistilBertKeys = {.layers = "n_layers",
                                           .hidden_size = "dim",
                                           .heads = "n_heads",
                                           .intermediate_size = "hidden_dim",
                                           .types = nullptr,
                                           .activation = "activation",
                                           .default_activation = "gelu",
                                           .architecture_prefix = "DistilBert"};
  static constexpr Keys kMobileBertKeys = [] {
    Keys keys = kBertKeys;
    keys.default_activation = "relu";
    keys.architecture_prefix = "MobileBert";
    return keys;
  }();
  switch (family) {
    case Family::kBert:
      return kBertKeys;
    case Family::kDistilBert:
      return kDistilBertKeys;
    case Family::kMobileBert:
      return kMobileBertKeys;
  }
  return kBertKeys;
}

absl::Status ReadFamily(const json& config, BertConfig& bert) {
  const json& type = Get(config, "model_type");
  if (type.is_null() || type == "bert") {
    bert.family = Family::kBert;
  } else if (type == "distilbert") {
    bert.family = Family::kDistilBert;
  } else if (type == "mobilebert") {
    bert.family = Family::kMobileBert;
  } else {
    return Bad("model_type", "\"bert\", \"distilbert\" or \"mobilebert\"",
               Text(type));
  }
  return absl::OkStatus();
}

absl::Status ReadSizes(const json& config, BertConfig& bert) {
  const Keys& keys = KeysOf(bert.family);
  absl::Status status;
  status.Update(ReadSize(config, keys.layers, kMaxLayers, bert.layers));
  status.Update(
      ReadSize(config, keys.hidden_size, kMaxWidth, bert.hidden_size));
  status.Update(ReadSize(config, keys.heads, kMaxWidth, bert.heads));
  status.Update(ReadSize(config, keys.intermediate_size, kMaxWidth,
                         bert.intermediate_size));
  status.Update(
      ReadSize(config, "vocab_size", kMaxVocabulary, bert.vocabulary_size));
  status.Update(ReadSize(config, "max_position_embeddings", kMaxPositions,
                         bert.max_positions));
  if (keys.types != nullptr) {
    status.Update(
        ReadSize(config, keys.types, kMaxTypes, bert.type_vocabulary_size));
  }
  return status;
}

// MobileBERT's own settings, which are those of transformers' MobileBertConfig
// where they are not set. Only what has been published is known: layers with
// bottlenecks, and words that see their neighbours.
absl::Status ReadMobileBert(const json& config, BertConfig& bert) {
  BertConfig::MobileBert& mobile = bert.mobilebert;
  bool trigrams = true, bottlenecks = true, shared = true;
  absl::Status status;
  status.Update(
      ReadSize(config, "embedding_size", kMaxWidth / 3, mobile.word_size));
  status.Update(ReadSize(config, "intra_bottleneck_size", kMaxWidth,
                         mobile.bottleneck_size));
  status.Update(ReadSize(config, "num_feedforward_networks", kMaxFeedForwards,
                         mobile.feed_forwards));
  status.Update(ReadFlag(config, "use_bottleneck_attention", false,
                         mobile.attends_bottleneck));
  status.Update(ReadFlag(config, "classifier_activation", true, mobile.pooler));
  status.Update(ReadFlag(config, "trigram_input", true, trigrams));
  status.Update(ReadFlag(config, "use_bottleneck", true, bottlenecks));
  status.Update(ReadFlag(config, "key_query_shared_bottleneck", true, shared));
  if (!status.ok()) return status;
  if (!trigrams) return Bad("trigram_input", "true", "false");
  if (!bottlenecks) return Bad("use_bottleneck", "true", "false");
  if (!shared && !mobile.attends_bottleneck) {
    return Bad("key_query_shared_bottleneck",
               "true, or 'use_bottleneck_attention' to be true", "false");
  }

  const json& norm = Get(config, "normalization_type");
  if (!norm.is_null() && norm != "no_norm" && norm != "layer_norm") {
    return Bad("normalization_type", "no_norm or layer_norm", Text(norm));
  }
  bert.layer_norm = norm == "layer_norm";
  return absl::OkStatus();
}

absl::Status CheckHeads(const BertConfig& bert) {
  const Keys& keys = KeysOf(bert.family);
  const char* const size = bert.family == Family::kMobileBert
                               ? "intra_bottleneck_size"
                               : keys.hidden_size;
  if (bert.attention_size() % bert.heads != 0) {
    return Bad(size,
               absl::StrCat("a multiple of ", keys.heads, ", ", bert.heads),
               absl::StrCat(bert.attention_size()));
  }
  if (bert.head_dim() <= kMaxHeadDim) return absl::OkStatus();
  return Bad(size,
             absl::StrCat("at most ", kMaxHeadDim, " for each of ", keys.heads),
             absl::StrCat(bert.head_dim()));
}

// Room for the special tokens and a token of each text, in windows one more;
// token types to tell the two apart.
absl::Status CheckInputs(const BertConfig& bert) {
  const bool answers = bert.task == Task::kQuestionAnswering;
  const int positions = answers ? 6 : 3;
  if (bert.max_positions < positions) {
    return Bad("max_position_embeddings", absl::StrCat("at least ", positions),
               absl::StrCat(bert.max_positions));
  }
  if (!answers || bert.takes_pairs()) return absl::OkStatus();
  return Bad(KeysOf(bert.family).types, "at least 2 for question answering",
             absl::StrCat(bert.type_vocabulary_size));
}

absl::Status ReadActivation(const json& config, BertConfig& bert) {
  const Keys& keys = KeysOf(bert.family);
  const json& set = Get(config, keys.activation);
  const json value = set.is_null() ? json(keys.default_activation) : set;
  if (value == "gelu") {
    bert.activation = Activation::kGelu;
  } else if (value == "gelu_new" || value == "gelu_pytorch_tanh") {
    bert.activation = Activation::kGeluTanh;
  } else if (value == "relu") {
    bert.activation = Activation::kRelu;
  } else {
    return Bad(keys.activation, "gelu, gelu_new, gelu_pytorch_tanh or relu",
               Text(value));
  }
  return absl::OkStatus();
}

absl::Status ReadLayerNormEpsilon(const json& config, BertConfig& bert) {
  const json& value = Get(config, "layer_norm_eps");
  if (value.is_null()) return absl::OkStatus();
  // As a float: less would be 0 there, by which a constant row is divided.
  if (!value.is_number() || !(value.get<float>() > 0) ||
      !(value.get<float>() < 1)) {
    return Bad("layer_norm_eps", "a number between 0 and 1", Text(value));
  }
  bert.layer_norm_epsilon = value.get<float>();
  return absl::OkStatus();
}

// Refuses what would change the computation in ways that Tern does not know.
absl::Status RefuseUnknownKinds(const json& config) {
  const json& positions = Get(config, "position_embedding_type");
  if (!positions.is_null() && positions != "absolute") {
    return Bad("position_embedding_type", "\"absolute\"", Text(positions));
  }
  for (const char* key : {"is_decoder", "add_cross_attention"}) {
    const json& value = Get(config, key);
    if (!value.is_null() && value != false) {
      return Bad(key, "false: Tern runs encoders", Text(value));
    }
  }
  const json& pruned = Get(config, "pruned_heads");
  if (!pruned.is_null() && !pruned.empty()) {
    return Bad("pruned_heads", "none", Text(pruned));
  }
  return absl::OkStatus();
}

// The labels, in order. Hugging Face leaves out id2label where it is the
// default: LABEL_0, LABEL_1.
absl::StatusOr<std::vector<std::string>> ReadLabels(const json& config) {
  std::vector<std::string> labels;
  const json& id2label = Get(config, "id2label");
  if (id2label.is_null()) {
    int count = 2;
    if (!Get(config, "num_labels").is_null()) {
      absl::Status read = ReadSize(config, "num_labels", kMaxLabels, count);
      if (!read.ok()) return read;
    }
    for (int i = 0; i < count; ++i) labels.push_back(absl::StrCat("LABEL_", i));
    return labels;
  }
  if (!id2label.is_object() || id2label.empty() ||
      id2label.size() > kMaxLabels) {
    return Bad("id2label", "an object with a name for each label",
               Text(id2label));
  }
  for (size_t i = 0; i < id2label.size(); ++i) {
    const json& label = Get(id2label, absl::StrCat(i).c_str());
    if (!label.is_string()) {
      return Bad("id2label",
                 absl::StrCat("a string for each of \"0\" to \"",
                              id2label.size() - 1, "\""),
                 absl::StrCat(Text(label), " for \"", i, "\""));
    }
    labels.push_back(label.get<std::string>());
  }
  return labels;
}

absl::Status ReadProblemType(const json& config, BertConfig& bert) {
  const json& problem = Get(config, "problem_type");
  if (problem.is_null()) {
    bert.task =
        bert.labels.size() == 1 ? Task::kRegression : Task::kSingleLabel;
  } else if (problem == "single_label_classification") {
    bert.task = Task::kSingleLabel;
  } else if (problem == "multi_label_classification") {
    bert.task = Task::kMultiLabel;
  } else if (problem == "regression") {
    bert.task = Task::kRegression;
  } else {
    return Bad("problem_type",
               "single_label_classification, multi_label_classification or "
               "regression",
               Text(problem));
  }
  return absl::OkStatus();
}

absl::Status ReadTask(const json& config, BertConfig& bert) {
  absl::StatusOr<std::vector<std::string>> labels = ReadLabels(config);
  if (!labels.ok()) return labels.status();
  const std::string prefix = KeysOf(bert.family).architecture_prefix;
  const std::string answerer = prefix + "ForQuestionAnswering";
  const std::string classifier = prefix + "ForSequenceClassification";
  const std::string embedder = prefix + "Model";
  const json& architectures = Get(config, "architectures");
  if (architectures == json::array({answerer})) {
    bert.task = Task::kQuestionAnswering;
    if (labels->size() == 2) return absl::OkStatus();
    return Bad("id2label", "2 outputs for question answering (start, end)",
               absl::StrCat(labels->size()));
  }
  if (architectures == json::array({classifier})) {
    bert.labels = *std::move(labels);
    return ReadProblemType(config, bert);
  }
  if (architectures == json::array({embedder})) {
    bert.task = Task::kEmbedding;
    return absl::OkStatus();
  }
  return Bad("architectures",
             absl::StrCat("[\"", classifier, "\"], [\"", answerer, "\"] or [\"",
                          embedder, "\"]"),
             Text(architectures));
}

absl::Status ReadQuantization(const json& config, BertConfig& bert) {
  const json& quantization = Get(config, "quantization_config");
  if (quantization.is_null()) return absl::OkStatus();
  if (!quantization.is_object() ||
      Get(quantization, "quant_method") != "tern") {
    return Bad("quantization_config", "quant_method \"tern\"",
               Text(quantization));
  }
  if (Get(quantization, "version") != 1 || Get(quantization, "bits") != 2) {
    return Bad("quantization_config", "version 1 with 2 bits",
               Text(quantization));
  }
  bert.ternary = true;
  return absl::OkStatus();
}

absl::Status Read(const json& config, BertConfig& bert) {
  absl::Status status = ReadFamily(config, bert);
  if (status.ok()) status = RefuseUnknownKinds(config);
  if (status.ok()) status = ReadSizes(config, bert);
  if (status.ok() && bert.family == Family::kMobileBert) {
    status = ReadMobileBert(config, bert);
  }
  if (status.ok()) status = CheckHeads(bert);
  if (status.ok()) status = ReadActivation(config, bert);
  if (status.ok()) status = ReadLayerNormEpsilon(config, bert);
  if (status.ok()) status = ReadTask(config, bert);
  if (status.ok()) status = CheckInputs(bert);
  if (status.ok()) status = ReadQuantization(config, bert);
  return status;
}

}  // namespace

int BertConfig::outputs() const {
  if (task == Task::kQuestionAnswering) return 2;
  if (task == Task::kEmbedding) return hidden_size;
  return static_cast<int>(labels.size());
}

absl::StatusOr<BertConfig> LoadConfig(const std::string& folder) {
  const std::string path = absl::StrCat(folder, "/config.json");
  absl::StatusOr<json> config = ReadJsonObjectFile(path);
  if (!config.ok()) return config.status();
  BertConfig bert;
  if (absl::Status read = Read(*config, bert); !read.ok()) {
    return absl::Status(read.code(), absl::StrCat(path, ": ", read.message()));
  }
  if (bert.task == Task::kEmbedding) {
    absl::Status read = ReadSentenceTransformer(folder, bert);
    if (!read.ok()) return read;
  }
  return bert;
}

}  // namespace tern

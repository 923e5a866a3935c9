#include "tests/tiny_model.h"

#include <cerrno>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "model/safetensors.h"
#include "nlohmann/json.hpp"

namespace tern {
namespace {

// Collects random tensors. Values come from std::mt19937 and arithmetic of our
// own, since the library's distributions differ between implementations.
class RandomTensors {
 public:
  explicit RandomTensors(uint32_t seed) : random_(seed) {}

  // Uniform around `mean` with this standard deviation.
  void Add(const std::string& name, std::vector<int64_t> shape, float deviation,
           float mean = 0.0f) {
    int64_t size = 1;
    for (int64_t extent : shape) size *= extent;
    std::vector<float>& values = values_[name];
    const float half_width = deviation * std::sqrt(3.0f);
    for (int64_t i = 0; i < size; ++i) {
      const float unit = static_cast<float>(random_() >> 8) * 0x1p-23f - 1.0f;
      values.push_back(mean + half_width * unit);
    }
    Tensor& tensor = tensors_[name];
    tensor.dtype = DType::kF32;
    tensor.shape = std::move(shape);
    tensor.bytes = {reinterpret_cast<const uint8_t*>(values.data()),
                    values.size() * sizeof(float)};
  }

  // Weights that keep the size of activations.
  void AddLinear(const std::string& name, int n, int k) {
    Add(name + ".weight", {n, k}, 1.0f / std::sqrt(static_cast<float>(k)));
    Add(name + ".bias", {n}, 0.1f);
  }

  void AddLayerNorm(const std::string& name, int size) {
    Add(name + ".weight", {size}, 0.1f, 1.0f);
    Add(name + ".bias", {size}, 0.1f);
  }

  const std::map<std::string, Tensor>& tensors() const { return tensors_; }

 private:
  std::mt19937 random_;
  std::map<std::string, std::vector<float>> values_;
  std::map<std::string, Tensor> tensors_;
};

int Outputs(const TinyModelOptions& options) {
  switch (options.task) {
    case TinyTask::kQuestionAnswering:
      return 2;
    case TinyTask::kRegression:
      return 1;
    default:
      return options.labels;
  }
}

void AddWeights(const TinyModelOptions& options, RandomTensors& out) {
  const int hidden = options.hidden_size;
  const std::string embeddings = "bert.embeddings.";
  out.Add(embeddings + "word_embeddings.weight",
          {static_cast<int64_t>(TinyVocabulary().size()), hidden}, 0.5f);
  out.Add(embeddings + "position_embeddings.weight",
          {options.max_positions, hidden}, 0.2f);
  out.Add(embeddings + "token_type_embeddings.weight", {2, hidden}, 0.2f);
  out.AddLayerNorm(embeddings + "LayerNorm", hidden);

  for (int i = 0; i < options.layers; ++i) {
    const std::string layer = absl::StrCat("bert.encoder.layer.", i, ".");
    for (const char* part : {"query", "key", "value"}) {
      out.AddLinear(layer + "attention.self." + part, hidden, hidden);
    }
    out.AddLinear(layer + "attention.output.dense", hidden, hidden);
    out.AddLayerNorm(layer + "attention.output.LayerNorm", hidden);
    out.AddLinear(layer + "intermediate.dense", options.intermediate_size,
                  hidden);
    out.AddLinear(layer + "output.dense", hidden, options.intermediate_size);
    out.AddLayerNorm(layer + "output.LayerNorm", hidden);
  }

  if (options.pooler) out.AddLinear("bert.pooler.dense", hidden, hidden);
  const bool answers = options.task == TinyTask::kQuestionAnswering;
  out.AddLinear(answers ? "qa_outputs" : "classifier", Outputs(options),
                hidden);
}

nlohmann::json Config(const TinyModelOptions& options) {
  nlohmann::json config = {
      {"model_type", "bert"},
      {"architectures",
       nlohmann::json::array({"BertForSequenceClassification"})},
      {"hidden_act", options.activation},
      {"hidden_size", options.hidden_size},
      {"intermediate_size", options.intermediate_size},
      {"layer_norm_eps", 1e-12},
      {"max_position_embeddings", options.max_positions},
      {"num_attention_heads", options.heads},
      {"num_hidden_layers", options.layers},
      {"pad_token_id", 0},
      {"position_embedding_type", "absolute"},
      {"type_vocab_size", 2},
      {"vocab_size", TinyVocabulary().size()},
  };
  switch (options.task) {
    case TinyTask::kQuestionAnswering:
      config["architectures"] =
          nlohmann::json::array({"BertForQuestionAnswering"});
      return config;
    case TinyTask::kSingleLabel:
      config["problem_type"] = "single_label_classification";
      break;
    case TinyTask::kMultiLabel:
      config["problem_type"] = "multi_label_classification";
      break;
    case TinyTask::kRegression:
      config["problem_type"] = "regression";
      break;
  }
  for (int i = 0; i < Outputs(options); ++i) {
    config["id2label"][absl::StrCat(i)] = absl::StrCat("label-", i);
    config["label2id"][absl::StrCat("label-", i)] = i;
  }
  return config;
}

absl::Status WriteText(const std::string& path, const std::string& text) {
  std::ofstream out(path, std::ios::binary);
  out << text;
  out.close();
  if (out.good()) return absl::OkStatus();
  return absl::ErrnoToStatus(errno, absl::StrCat("write ", path));
}

}  // namespace

std::vector<std::string> TinyVocabulary() {
  std::vector<std::string> tokens = {"[PAD]", "[UNK]", "[CLS]", "[SEP]",
                                     "[MASK]"};
  for (char c = '!'; c <= '~'; ++c) {
    if (c < 'A' || c > 'Z') tokens.push_back(std::string(1, c));
  }
  for (char c = '0'; c <= '9'; ++c)
    tokens.push_back(absl::StrCat("##", std::string(1, c)));
  for (char c = 'a'; c <= 'z'; ++c)
    tokens.push_back(absl::StrCat("##", std::string(1, c)));
  for (const char* piece : {"##ed", "##er", "##ing", "##ly"}) {
    tokens.push_back(piece);
  }
  for (const char* word :
       {"the",     "of",    "and",    "to",     "in",       "is",
        "was",     "it",    "for",    "on",     "as",       "with",
        "by",      "he",    "she",    "at",     "from",     "his",
        "her",     "that",  "this",   "are",    "were",     "be",
        "an",      "or",    "not",    "but",    "which",    "who",
        "what",    "when",  "where",  "why",    "how",      "film",
        "movie",   "good",  "bad",    "great",  "gripping", "dull",
        "city",    "river", "france", "paris",  "capital",  "london",
        "england", "year",  "first",  "new",    "people",   "world",
        "time",    "long",  "house",  "work",   "play",     "water",
        "two",     "three", "many",   "after",  "before",   "between",
        "under",   "over",  "never",  "always", "born",     "died",
        "king",    "queen", "war",    "peace",  "music",    "song",
        "book",    "story", "red",    "blue",   "green"}) {
    tokens.push_back(word);
  }
  return tokens;
}

absl::Status WriteTinyModel(const std::string& folder,
                            const TinyModelOptions& options) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) {
    return absl::ErrnoToStatus(error.value(), absl::StrCat("create ", folder));
  }
  RandomTensors weights(options.seed);
  AddWeights(options, weights);
  absl::Status status =
      WriteText(folder + "/config.json", Config(options).dump(2) + "\n");
  status.Update(WriteText(folder + "/vocab.txt",
                          absl::StrJoin(TinyVocabulary(), "\n") + "\n"));
  status.Update(WriteText(folder + "/tokenizer_config.json",
                          "{\"do_lower_case\": true}\n"));
  status.Update(WriteSafetensors(folder + "/model.safetensors",
                                 weights.tensors(), {{"format", "pt"}}));
  return status;
}

}  // namespace tern

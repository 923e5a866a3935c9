#include "train/bert_module.h"

#include <cstring>
#include <memory>
#include <numeric>
#include <utility>

#include "ATen/ATen.h"
#include "ATen/CPUGeneratorImpl.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "model/safetensors.h"
#include "model/tensor_names.h"
#include "model/ternary_folder.h"
#include "torch/csrc/autograd/custom_function.h"
#include "train/batches.h"
#include "train/dropout.h"
#include "train/kernel_functions.h"
#include "train/matrix_product.h"

namespace tern {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr char kWordEmbeddings[] = "bert.embeddings.word_embeddings.weight";
constexpr char kPositionEmbeddings[] =
    "bert.embeddings.position_embeddings.weight";

// y = x W^T + b with products in the dtype of `x_product` and `w_product`,
// which are x and W in it, perhaps quantized: gradients pass straight through.
struct FloatLinearFunction : torch::autograd::Function<FloatLinearFunction> {
  static torch::Tensor forward(AutogradContext* context, torch::Tensor x,
                               torch::Tensor w, torch::Tensor bias,
                               torch::Tensor x_product,
                               torch::Tensor w_product) {
    context->save_for_backward({x_product, w_product});
    return MatrixProduct(x_product, w_product.t()).add_(bias);
  }
  static variable_list backward(AutogradContext* context, variable_list dy) {
    const variable_list saved = context->get_saved_variables();
    const torch::Tensor g = dy[0].to(saved[0].scalar_type());
    return {MatrixProduct(g, saved[1]),
            MatrixProduct(g.t(), saved[0]),
            dy[0].sum(0),
            {},
            {}};
  }
};

Ternarizer TernarizerOf(const Quantization& quantization) {
  return quantization.weights == WeightScheme::kLat ? Ternarizer::kLat
                                                    : Ternarizer::kTwn;
}

torch::Tensor Dropped(const torch::Tensor& x, double dropout) {
  return dropout > 0 ? Dropout(x, dropout) : x;
}

bool IsOfHead(absl::string_view name) {
  return absl::StartsWith(name, "classifier.") ||
         absl::StartsWith(name, "qa_outputs.");
}

// A head for a checkpoint that has none, as Hugging Face initializes it.
torch::Tensor NewHeadTensor(const std::vector<int64_t>& shape, uint64_t seed) {
  constexpr double kDeviation = 0.02;
  if (shape.size() == 1) return torch::zeros(shape);
  const at::Generator generator =
      at::make_generator<at::CPUGeneratorImpl>(seed);
  return torch::empty(shape).normal_(0, kDeviation, generator);
}

}  // namespace

std::string LayerPrefix(int layer) {
  return absl::StrCat("bert.encoder.layer.", layer, ".");
}

// What goes into a Linear layer: in kFloat only `x` and `product`, x in the
// products' dtype.
struct BertModule::LinearInput {
  torch::Tensor x;
  torch::Tensor product;
  QuantizedInput quantized;
};

absl::StatusOr<BertModule> BertModule::Load(const BertConfig& config,
                                            const std::string& weights_file,
                                            const BertOptions& options,
                                            uint64_t seed) {
  if (config.family != Family::kBert || config.task == Task::kEmbedding) {
    return absl::UnimplementedError(absl::StrCat(
        weights_file,
        ": expected a BERT with a classifier's or question answerer's head; "
        "others are served, but not trained"));
  }
  absl::StatusOr<std::unique_ptr<Safetensors>> file =
      Safetensors::Open(weights_file);
  if (!file.ok()) return file.status();
  BertModule module;
  module.config_ = config;
  module.options_ = options;
  for (const ExpectedTensor& tensor : ExpectedTensors(config, **file)) {
    torch::Tensor parameter;
    const absl::StatusOr<std::string> stored = FindTensor(**file, tensor.name);
    if (!stored.ok() && options.new_head && IsOfHead(tensor.name)) {
      parameter = NewHeadTensor(tensor.shape, seed);
    } else {
      if (!stored.ok()) return stored.status();
      // TWN of scale * T is scale and T again.
      const bool stored_ternary = config.ternary && tensor.ternary();
      absl::StatusOr<std::vector<float>> floats =
          stored_ternary
              ? ReadTernaryAsFloats(**file, *stored,
                                    static_cast<int>(tensor.shape[0]),
                                    static_cast<int>(tensor.shape[1]))
              : (*file)->ReadFloats(*stored, tensor.shape);
      if (!floats.ok()) return floats.status();
      parameter = torch::empty(tensor.shape);
      std::memcpy(parameter.data_ptr<float>(), floats->data(),
                  floats->size() * sizeof(float));
    }
    module.parameters_[tensor.name] = parameter.requires_grad_(true);
  }
  module.RefreshQuantizedWeights(seed);
  return module;
}

torch::Tensor BertModule::SecondMoment(const std::string& name) const {
  if (second_moments_ == nullptr) return {};
  const auto found = second_moments_->find(name);
  return found == second_moments_->end() ? torch::Tensor() : found->second;
}

TernaryWeights BertModule::TernaryWeightsOf(const std::string& name) const {
  const torch::NoGradGuard no_grad;
  return Ternarize(TernarizerOf(*options_.quantization),
                   StorageOf(name) == Storage::kTernaryPerRow, Parameter(name),
                   SecondMoment(name));
}

TernaryFactor BertModule::Quantized(const std::string& name,
                                    uint64_t draw) const {
  const torch::Tensor& w = Parameter(name);
  if (ternary()) {
    return MakeTernaryFactor(TernaryWeightsOf(name), options_.product_type);
  }
  const Quantization& quantization = *options_.quantization;
  int64_t groups = 1;
  if (StorageOf(name) == Storage::kTernaryPerRow) {
    if (quantization.embedding_scale_per_row) groups = w.size(0);
  } else if (quantization.weights == WeightScheme::kGroup2Bit) {
    groups = std::gcd<int64_t>(w.size(0), config_.heads);
  }
  TernaryFactor simulated;
  simulated.t = SimulateWeights(quantization.weights, w, SecondMoment(name),
                                groups, draw);
  return simulated;
}

void BertModule::RefreshQuantizedWeights(uint64_t draw) {
  if (!options_.quantization) return;
  std::vector<std::string> names;
  for (const auto& [name, parameter] : parameters_) {
    const Storage storage = StorageOf(name);
    if (storage == Storage::kTernaryPerMatrix ||
        (simulated() && storage == Storage::kTernaryPerRow)) {
      names.push_back(name);
    }
  }
  std::vector<TernaryFactor> matrices(names.size());
  at::parallel_for(0, names.size(), 1, [&](int64_t begin, int64_t end) {
    const torch::NoGradGuard no_grad;
    for (int64_t i = begin; i < end; ++i) {
      matrices[i] = Quantized(names[i], MixSeeds(draw, i));
    }
  });
  for (size_t i = 0; i < names.size(); ++i) matrices_[names[i]] = matrices[i];
}

void BertModule::ReplaceMatrix(const std::string& name,
                               const torch::Tensor& weights) {
  const torch::NoGradGuard no_grad;
  torch::Tensor matrix = Parameter(name);
  matrix.copy_(weights);
  if (matrices_.count(name) > 0) matrices_[name] = Quantized(name, /*draw=*/0);
}

void BertModule::Freeze() {
  if (options_.quantization) return;
  for (const auto& [name, parameter] : parameters_) {
    if (StorageOf(name) == Storage::kTernaryPerMatrix) {
      frozen_[name] = parameter.detach().to(options_.product_type);
    }
  }
}

torch::Tensor BertModule::ProductWeight(const std::string& name) const {
  if (simulated()) return matrices_.at(name).t;
  const auto frozen = frozen_.find(name);
  return frozen != frozen_.end()
             ? frozen->second
             : Parameter(name).detach().to(options_.product_type);
}

BertModule::LinearInput BertModule::Prepare(const torch::Tensor& x) const {
  LinearInput input;
  input.x = x;
  if (ternary()) {
    input.quantized = QuantizeInput(x, options_.product_type);
  } else if (simulated()) {
    input.product =
        SimulateActivations(options_.quantization->activations, x.detach());
  } else {
    input.product = x.detach().to(options_.product_type);
  }
  return input;
}

torch::Tensor BertModule::Linear(const std::string& name,
                                 const LinearInput& x) const {
  const torch::Tensor& weight = Parameter(name + ".weight");
  const torch::Tensor& bias = Parameter(name + ".bias");
  if (ternary()) {
    return TernaryLinear(x.quantized, weight, bias,
                         matrices_.at(name + ".weight"));
  }
  return FloatLinearFunction::apply(x.x, weight, bias, x.product,
                                    ProductWeight(name + ".weight"));
}

torch::Tensor BertModule::Norm(const std::string& name, const torch::Tensor& x,
                               const torch::Tensor& residual) const {
  return AddLayerNorm(x, residual, Parameter(name + ".weight"),
                      Parameter(name + ".bias"), config_.layer_norm_epsilon);
}

torch::Tensor BertModule::WordEmbeddings(const torch::Tensor& ids) const {
  const torch::Tensor& words = Parameter(kWordEmbeddings);
  if (ternary()) {
    return TernaryEmbedding(TernarizerOf(*options_.quantization), words,
                            SecondMoment(kWordEmbeddings), ids);
  }
  const torch::Tensor latent = at::embedding(words, ids);
  if (!simulated()) return latent;
  return StraightThrough(latent,
                         at::embedding(matrices_.at(kWordEmbeddings).t, ids));
}

torch::Tensor BertModule::PositionEmbeddings(
    const torch::Tensor& positions) const {
  const torch::Tensor latent =
      at::embedding(Parameter(kPositionEmbeddings), positions);
  if (!ternary() || !options_.round_positions) return latent;
  return StraightThrough(latent,
                         latent.detach().to(torch::kHalf).to(torch::kFloat));
}

torch::Tensor BertModule::Embed(const TokenBatch& batch,
                                const ForwardOptions& options) const {
  const torch::Tensor word = WordEmbeddings(batch.ids);
  const torch::Tensor type =
      at::embedding(Parameter("bert.embeddings.token_type_embeddings.weight"),
                    batch.type_ids);
  const torch::Tensor position = PositionEmbeddings(batch.positions);
  return Dropped(
      Norm("bert.embeddings.LayerNorm", (word + type) + position, {}),
      options.dropout);
}

AttentionOutput BertModule::AttendIn(int layer, const TokenBatch& batch,
                                     const torch::Tensor& hidden,
                                     const ForwardOptions& options) const {
  const std::string name = LayerPrefix(layer) + "attention.self.";
  const LinearInput input = Prepare(hidden);
  const torch::Tensor q = Linear(name + "query", input);
  const torch::Tensor k = Linear(name + "key", input);
  const torch::Tensor v = Linear(name + "value", input);
  const ActivationScheme activations = options_.quantization
                                           ? options_.quantization->activations
                                           : ActivationScheme::kNone;
  return Attend(q, k, v, batch,
                {.heads = config_.heads,
                 .activations = activations,
                 .dropout = options.dropout,
                 .keep_scores = options.keep_internals});
}

torch::Tensor BertModule::Middle(int layer, const torch::Tensor& context,
                                 const torch::Tensor& hidden,
                                 const ForwardOptions& options) const {
  const std::string name = LayerPrefix(layer) + "attention.output.";
  const torch::Tensor attended =
      Dropped(Linear(name + "dense", Prepare(context)), options.dropout);
  return Norm(name + "LayerNorm", attended, hidden);
}

torch::Tensor BertModule::Wide(int layer, const torch::Tensor& middle) const {
  return Activate(
      Linear(LayerPrefix(layer) + "intermediate.dense", Prepare(middle)),
      config_.activation);
}

torch::Tensor BertModule::LayerOutput(int layer, const torch::Tensor& wide,
                                      const torch::Tensor& middle,
                                      const ForwardOptions& options) const {
  const std::string name = LayerPrefix(layer) + "output.";
  const torch::Tensor narrow =
      Dropped(Linear(name + "dense", Prepare(wide)), options.dropout);
  return Norm(name + "LayerNorm", narrow, middle);
}

torch::Tensor BertModule::Encode(const TokenBatch& batch,
                                 const ForwardOptions& options,
                                 BertOutput& output) const {
  torch::Tensor hidden = Embed(batch, options);
  if (options.keep_internals) output.hidden_states.push_back(hidden);
  for (int layer = 0; layer < config_.layers; ++layer) {
    const AttentionOutput attention = AttendIn(layer, batch, hidden, options);
    const torch::Tensor middle =
        Middle(layer, attention.context, hidden, options);
    hidden = LayerOutput(layer, Wide(layer, middle), middle, options);
    if (!options.keep_internals) continue;
    output.attention_scores.push_back(attention.scores);
    output.hidden_states.push_back(hidden);
  }
  return hidden;
}

torch::Tensor BertModule::LastHiddenState(const TokenBatch& batch) const {
  BertOutput unused;
  return Encode(batch, {}, unused);
}

BertOutput BertModule::Forward(const TokenBatch& batch,
                               const ForwardOptions& options) const {
  BertOutput output;
  const torch::Tensor hidden = Encode(batch, options, output);
  if (config_.task == Task::kQuestionAnswering) {
    output.logits = at::linear(hidden, Parameter("qa_outputs.weight"),
                               Parameter("qa_outputs.bias"));
    return output;
  }
  torch::Tensor features = hidden.index_select(0, batch.first_rows);
  if (parameters_.count("bert.pooler.dense.weight") > 0) {
    features = Activate(Linear("bert.pooler.dense", Prepare(features)),
                        Activation::kTanh);
  }
  output.logits =
      at::linear(Dropped(features, options.dropout),
                 Parameter("classifier.weight"), Parameter("classifier.bias"));
  return output;
}

}  // namespace tern

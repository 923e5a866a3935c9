// A BERT that trains: the engine's model (model/layers.h) with gradients.
//
// Parameters are leaves under their Hugging Face names, which are the names in
// every file. With a quantization they are the latent weights; where it can be
// served, the forward pass gives the bits of the engine on the exported folder.
//
// One thread.

#ifndef TERN_TRAIN_BERT_MODULE_H_
#define TERN_TRAIN_BERT_MODULE_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/config.h"
#include "torch/types.h"
#include "train/attention.h"
#include "train/fake_quantize.h"
#include "train/simulated_quantization.h"
#include "train/token_batch.h"

namespace tern {

using TensorMap = std::map<std::string, torch::Tensor>;

struct BertOptions {
  std::optional<Quantization> quantization{};  // none: fp32
  // Or BF16. Simulated quantizations multiply in F32 whatever stands here:
  // their numbers are no small integers, which BF16 would hold.
  torch::ScalarType product_type = torch::kFloat32;
  // Rounds position embeddings as a ternary folder will hold them. Off for one
  // that is only read: what it holds is used, F32 in folders from before.
  bool round_positions = true;
  bool new_head = false;  // where the file has none; else that is an error
};

struct ForwardOptions {
  double dropout = 0;  // of embeddings, attention (float only) and outputs
  bool keep_internals = false;  // fill hidden_states and attention_scores
};

struct BertOutput {
  torch::Tensor logits;  // [sequences, outputs]; question answering: start and
                         // end logit of each token, [tokens, 2]
  // After the embeddings and after each layer, [tokens, hidden].
  std::vector<torch::Tensor> hidden_states;
  // Of each layer, as AttentionOutput has them.
  std::vector<torch::Tensor> attention_scores;
};

// What the names of a layer's parameters begin with: "bert.encoder.layer.3.".
std::string LayerPrefix(int layer);

class BertModule {
 public:
  // Reads a folder's weights; a ternary one's are scale * T. A pretrained one
  // has no head: it gets one drawn from N(0, 0.02) by `seed`. Errors: what
  // opening and reading `weights_file` gives; UNIMPLEMENTED for another family.
  static absl::StatusOr<BertModule> Load(const BertConfig& config,
                                         const std::string& weights_file,
                                         const BertOptions& options,
                                         uint64_t seed);

  BertOutput Forward(const TokenBatch& batch,
                     const ForwardOptions& options) const;

  // After the last layer, [tokens, hidden].
  torch::Tensor LastHiddenState(const TokenBatch& batch) const;

  // The steps of a forward pass, for who changes the matrices of one before the
  // next is taken. What a Linear layer reads: Q, K and V a layer's input,
  // attention.output the context, intermediate the middle, output the wide.
  torch::Tensor Embed(const TokenBatch& batch,
                      const ForwardOptions& options) const;
  AttentionOutput AttendIn(int layer, const TokenBatch& batch,
                           const torch::Tensor& hidden,
                           const ForwardOptions& options) const;
  torch::Tensor Middle(int layer, const torch::Tensor& context,
                       const torch::Tensor& hidden,
                       const ForwardOptions& options) const;
  torch::Tensor Wide(int layer, const torch::Tensor& middle) const;
  torch::Tensor LayerOutput(int layer, const torch::Tensor& wide,
                            const torch::Tensor& middle,
                            const ForwardOptions& options) const;

  const BertConfig& config() const { return config_; }
  const BertOptions& options() const { return options_; }
  const TensorMap& parameters() const { return parameters_; }

  // Adam's second moments by parameter name, for LAT; kept by reference, so
  // they follow the optimizer. Without them LAT is TWN.
  void SetSecondMoments(const TensorMap* second_moments) {
    second_moments_ = second_moments;
  }

  // Quantizes the matrices anew: call it after the parameters changed. The same
  // `draw` gives the same stochastic weights.
  void RefreshQuantizedWeights(uint64_t draw);

  // Gives a matrix other weights and quantizes it anew.
  void ReplaceMatrix(const std::string& name, const torch::Tensor& weights);

  // For a module that only teaches: keeps the matrices in the products' dtype
  // instead of converting them in each pass. Its parameters change no more.
  void Freeze();

  // Of parameter `name` in its present state, for a ternary folder.
  TernaryWeights TernaryWeightsOf(const std::string& name) const;

 private:
  const torch::Tensor& Parameter(const std::string& name) const {
    return parameters_.at(name);
  }
  torch::Tensor SecondMoment(const std::string& name) const;
  bool ternary() const {
    return options_.quantization && options_.quantization->servable();
  }
  bool simulated() const { return options_.quantization && !ternary(); }
  TernaryFactor Quantized(const std::string& name, uint64_t draw) const;
  // Of a Linear layer that is not ternary, in the products' dtype.
  torch::Tensor ProductWeight(const std::string& name) const;
  torch::Tensor WordEmbeddings(const torch::Tensor& ids) const;
  torch::Tensor PositionEmbeddings(const torch::Tensor& positions) const;

  struct LinearInput;
  LinearInput Prepare(const torch::Tensor& x) const;
  torch::Tensor Linear(const std::string& name, const LinearInput& x) const;
  torch::Tensor Norm(const std::string& name, const torch::Tensor& x,
                     const torch::Tensor& residual) const;
  // All layers; `output` receives what is kept.
  torch::Tensor Encode(const TokenBatch& batch, const ForwardOptions& options,
                       BertOutput& output) const;

  BertConfig config_;
  BertOptions options_;
  TensorMap parameters_;
  // Quantized ones; the word embeddings only where they are simulated. A
  // simulated matrix is t, whatever its values.
  std::map<std::string, TernaryFactor> matrices_;
  TensorMap frozen_;  // matrices of float modules, see Freeze
  const TensorMap* second_moments_ = nullptr;
};

}  // namespace tern

#endif  // TERN_TRAIN_BERT_MODULE_H_

#include "train/masked_lm.h"

#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "ATen/ATen.h"
#include "model/safetensors.h"
#include "model/tensor_names.h"
#include "train/kernel_functions.h"
#include "train/matrix_product.h"

namespace tern {
namespace {

constexpr char kWordEmbeddings[] = "bert.embeddings.word_embeddings.weight";
constexpr char kDenseWeight[] = "cls.predictions.transform.dense.weight";
constexpr char kDenseBias[] = "cls.predictions.transform.dense.bias";
constexpr char kNormWeight[] = "cls.predictions.transform.LayerNorm.weight";
constexpr char kNormBias[] = "cls.predictions.transform.LayerNorm.bias";
constexpr char kBias[] = "cls.predictions.bias";

absl::Status ReadTensor(const Safetensors& file, const std::string& name,
                        const std::vector<int64_t>& shape,
                        torch::Tensor& tensor) {
  const absl::StatusOr<std::string> stored = FindTensor(file, name);
  if (!stored.ok()) return stored.status();
  const absl::StatusOr<std::vector<float>> floats =
      file.ReadFloats(*stored, shape);
  if (!floats.ok()) return floats.status();
  tensor = torch::empty(shape);
  std::memcpy(tensor.data_ptr(), floats->data(), tensor.nbytes());
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<MaskedLm> MaskedLm::Load(const BertConfig& config,
                                        const std::string& weights_file) {
  BertOptions bert;
  bert.new_head = true;  // which nobody asks
  absl::StatusOr<BertModule> encoder =
      BertModule::Load(config, weights_file, bert, /*seed=*/0);
  if (!encoder.ok()) return encoder.status();
  const absl::StatusOr<std::unique_ptr<Safetensors>> file =
      Safetensors::Open(weights_file);
  if (!file.ok()) return file.status();
  MaskedLm lm(*std::move(encoder));
  const int64_t hidden = config.hidden_size;
  absl::Status status;
  status.Update(
      ReadTensor(**file, kDenseWeight, {hidden, hidden}, lm.dense_weight_));
  status.Update(ReadTensor(**file, kDenseBias, {hidden}, lm.dense_bias_));
  status.Update(ReadTensor(**file, kNormWeight, {hidden}, lm.norm_weight_));
  status.Update(ReadTensor(**file, kNormBias, {hidden}, lm.norm_bias_));
  status.Update(ReadTensor(**file, kBias, {config.vocabulary_size}, lm.bias_));
  if (!status.ok()) return status;
  return lm;
}

torch::Tensor MaskedLm::Logits(const TokenBatch& batch,
                               const torch::Tensor& rows) const {
  const torch::NoGradGuard no_grad;
  const torch::Tensor h = encoder_.LastHiddenState(batch).index_select(0, rows);
  const torch::Tensor wide =
      MatrixProduct(h, dense_weight_.t()).add_(dense_bias_);
  const torch::Tensor y = AddLayerNorm(
      Activate(wide, encoder_.config().activation), {}, norm_weight_,
      norm_bias_, encoder_.config().layer_norm_epsilon);
  return MatrixProduct(y,
                       encoder_.parameters().at(kWordEmbeddings).detach().t())
      .add_(bias_);
}

TensorMap MaskedLm::parameters() const {
  TensorMap parameters = encoder_.parameters();
  parameters[kDenseWeight] = dense_weight_;
  parameters[kDenseBias] = dense_bias_;
  parameters[kNormWeight] = norm_weight_;
  parameters[kNormBias] = norm_bias_;
  parameters[kBias] = bias_;
  return parameters;
}

}  // namespace tern

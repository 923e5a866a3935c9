// A pretrained BERT with its masked-language-model head, which says what words
// fit a place (Devlin et al. 2018, section 3.1).
//
//   logits = E LayerNorm(gelu(W h + b)) + c
// for the last hidden state h of a token; E are the word embeddings.
//
// Thread-compatible.

#ifndef TERN_TRAIN_MASKED_LM_H_
#define TERN_TRAIN_MASKED_LM_H_

#include <string>

#include "absl/status/statusor.h"
#include "model/config.h"
#include "torch/types.h"
#include "train/bert_module.h"
#include "train/token_batch.h"

namespace tern {

class MaskedLm {
 public:
  // `config` is that of the encoder, with any task. Errors: what reading
  // `weights_file` gives, NOT_FOUND naming a tensor of the head that is not
  // there.
  static absl::StatusOr<MaskedLm> Load(const BertConfig& config,
                                       const std::string& weights_file);

  // Of the tokens in `rows` of the batch: [rows, vocabulary].
  torch::Tensor Logits(const TokenBatch& batch,
                       const torch::Tensor& rows) const;

  // Of the encoder and the head, by name.
  TensorMap parameters() const;

 private:
  explicit MaskedLm(BertModule encoder) : encoder_(std::move(encoder)) {}

  BertModule encoder_;
  torch::Tensor dense_weight_, dense_bias_;
  torch::Tensor norm_weight_, norm_bias_;
  torch::Tensor bias_;
};

}  // namespace tern

#endif  // TERN_TRAIN_MASKED_LM_H_

#include "train/losses.h"

#include "ATen/ATen.h"

namespace tern {
namespace {

class LossSum {
 public:
  void Add(const std::string& name, const torch::Tensor& value) {
    loss_.total = loss_.total.defined() ? loss_.total + value : value;
    loss_.terms.emplace_back(name, value.item<double>());
  }
  Loss Take() { return std::move(loss_); }

 private:
  Loss loss_;
};

torch::Tensor SumOfSquaredErrors(const std::vector<torch::Tensor>& a,
                                 const std::vector<torch::Tensor>& b) {
  torch::Tensor sum = at::zeros({});
  for (size_t i = 0; i < a.size(); ++i) {
    sum = sum + at::mse_loss(a[i], b[i], at::Reduction::Sum);
  }
  return sum;
}

}  // namespace

Loss LabelLoss(const BertOutput& output, const TokenBatch& batch,
               bool regression) {
  LossSum sum;
  sum.Add("labels", regression
                        ? at::mse_loss(output.logits.view({-1}), batch.labels)
                        : at::cross_entropy_loss(output.logits, batch.labels));
  return sum.Take();
}

Loss DistillationLoss(const BertOutput& student, const BertOutput& teacher,
                      const TokenBatch& batch, const DistillationTerms& terms,
                      bool regression) {
  LossSum sum;
  if (terms.predictions && regression) {
    sum.Add("predictions", at::mse_loss(student.logits, teacher.logits));
  } else if (terms.predictions) {
    sum.Add("predictions",
            -(teacher.logits.softmax(-1) * student.logits.log_softmax(-1))
                 .sum(-1)
                 .mean());
  }
  if (terms.hidden) {
    const double units = student.hidden_states[0].numel();
    sum.Add("hidden",
            SumOfSquaredErrors(student.hidden_states, teacher.hidden_states) /
                units);
  }
  if (terms.attention) {
    double pairs = 0;
    for (int64_t s = 0; s < batch.sequences(); ++s) {
      const double length = batch.starts[s + 1] - batch.starts[s];
      pairs += length * length;
    }
    const double heads =
        student.attention_scores[0].size(0) / batch.sequences();
    sum.Add("attention", SumOfSquaredErrors(student.attention_scores,
                                            teacher.attention_scores) /
                             (heads * pairs));
  }
  return sum.Take();
}

}  // namespace tern

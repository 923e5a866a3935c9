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

// A question answerer's logits [tokens, 2] as two classifications among the
// tokens of a sequence: [2 * sequences, longest], a sequence's start and end
// next to each other.
torch::Tensor SpanLogits(const torch::Tensor& logits, const TokenBatch& batch) {
  // Finite: a target of zero times a logarithm of minus infinity is no number.
  // Yet its exponential is zero beside that of any logit.
  constexpr float kNoToken = -1e4f;
  return at::full({batch.sequences() * batch.longest, 2}, kNoToken)
      .index_copy(0, batch.padded_rows, logits)
      .view({batch.sequences(), batch.longest, 2})
      .transpose(1, 2)
      .reshape({2 * batch.sequences(), batch.longest});
}

// What softmax is taken of.
torch::Tensor ClassLogits(const torch::Tensor& logits, const TokenBatch& batch,
                          Task task) {
  return task == Task::kQuestionAnswering ? SpanLogits(logits, batch) : logits;
}

torch::Tensor PredictionTerm(const BertOutput& student,
                             const BertOutput& teacher, const TokenBatch& batch,
                             Task task) {
  if (task == Task::kRegression) {
    return at::mse_loss(student.logits, teacher.logits);
  }
  const torch::Tensor target = ClassLogits(teacher.logits, batch, task);
  const torch::Tensor found = ClassLogits(student.logits, batch, task);
  return -(target.softmax(-1) * found.log_softmax(-1)).sum(-1).mean();
}

}  // namespace

Loss LabelLoss(const BertOutput& output, const TokenBatch& batch, Task task) {
  LossSum sum;
  sum.Add("labels",
          task == Task::kRegression
              ? at::mse_loss(output.logits.view({-1}), batch.labels)
              : at::cross_entropy_loss(ClassLogits(output.logits, batch, task),
                                       batch.labels.view({-1})));
  return sum.Take();
}

Loss PredictionLoss(const BertOutput& student, const BertOutput& teacher,
                    const TokenBatch& batch, Task task) {
  LossSum sum;
  sum.Add("predictions", PredictionTerm(student, teacher, batch, task));
  return sum.Take();
}

Loss DistillationLoss(const BertOutput& student, const BertOutput& teacher,
                      const TokenBatch& batch, const DistillationTerms& terms,
                      Task task) {
  LossSum sum;
  if (terms.predictions) {
    sum.Add("predictions", PredictionTerm(student, teacher, batch, task));
  }
  if (terms.hidden) {
    const double units = student.hidden_states[0].numel();
    sum.Add("hidden",
            SumOfSquaredErrors(student.hidden_states, teacher.hidden_states) /
                units);
  }
  if (terms.attention) {
    const double pairs = student.attention_scores[0].numel();
    sum.Add("attention", SumOfSquaredErrors(student.attention_scores,
                                            teacher.attention_scores) /
                             pairs);
  }
  return sum.Take();
}

}  // namespace tern

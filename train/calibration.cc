#include "train/calibration.h"

#include <algorithm>
#include <string>

#include "ATen/ATen.h"
#include "train/latent_weights.h"
#include "train/matrix_product.h"

namespace tern {
namespace {

// What is quantized and made up for together: the rest of a matrix is mended
// by one product for so many columns.
constexpr int64_t kBlockColumns = 128;

struct RoundedColumns {
  torch::Tensor t;     // [n, k] F32
  torch::Tensor from;  // [n, k] what it was rounded from
};

// T for `v` [n, k], whose columns are in the order in which they are quantized;
// `u` is the upper factor of H^-1 in that order.
RoundedColumns RoundColumns(const torch::Tensor& v, const torch::Tensor& u,
                            double alpha) {
  const int64_t k = v.size(1);
  torch::Tensor columns = v.t().contiguous();
  const torch::Tensor t = torch::empty_like(columns);
  for (int64_t begin = 0; begin < k; begin += kBlockColumns) {
    const int64_t end = std::min(begin + kBlockColumns, k);
    const torch::Tensor errors = torch::empty({end - begin, v.size(0)});
    for (int64_t j = begin; j < end; ++j) {
      const torch::Tensor column = columns[j];
      t[j] = column.sign() * (column.abs() > alpha / 2);
      const torch::Tensor error = (column - alpha * t[j]) / u[j][j];
      columns.slice(0, j + 1, end)
          .addr_(u[j].slice(0, j + 1, end), error, 1, -1);
      errors[j - begin] = error;
    }
    if (end == k) break;
    columns.slice(0, end).sub_(
        MatrixProduct(u.slice(0, begin, end).slice(1, end).t(), errors));
  }
  return {t.t(), columns.t()};
}

// What enters a matrix in both models, a tensor [tokens, k] for each batch.
struct Inputs {
  std::vector<torch::Tensor> teacher;
  std::vector<torch::Tensor> student;
};

InputMoments MomentsOf(const Inputs& inputs) {
  const int64_t k = inputs.teacher[0].size(1);
  InputMoments moments = {torch::zeros({k, k}), torch::zeros({k, k})};
  for (size_t batch = 0; batch < inputs.teacher.size(); ++batch) {
    const torch::Tensor& t = inputs.teacher[batch];
    const torch::Tensor& s = inputs.student[batch];
    const torch::Tensor weight =
        t.square().sum(1, /*keepdim=*/true).clamp_min(1e-12).reciprocal();
    moments.student += MatrixProduct((weight * s).t(), s);
    moments.cross += MatrixProduct((weight * t).t(), s);
  }
  return moments;
}

class Calibrator {
 public:
  Calibrator(const BertModule& teacher, const std::vector<TokenBatch>& texts,
             BertModule& student)
      : teacher_(teacher), texts_(texts), student_(student) {
    hidden_ = Each([&](const BertModule& model, auto, size_t batch) {
      return model.Embed(texts_[batch], {});
    });
  }

  void Layer(int layer) {
    const std::string name = LayerPrefix(layer);
    Choose({name + "attention.self.query", name + "attention.self.key",
            name + "attention.self.value"},
           hidden_);
    const Inputs context = Each([&](const auto& model, auto side, size_t b) {
      return model.AttendIn(layer, texts_[b], (hidden_.*side)[b], {}).context;
    });
    Choose({name + "attention.output.dense"}, context);
    const Inputs middle = Each([&](const auto& model, auto side, size_t b) {
      return model.Middle(layer, (context.*side)[b], (hidden_.*side)[b], {});
    });
    Choose({name + "intermediate.dense"}, middle);
    const Inputs wide = Each([&](const auto& model, auto side, size_t b) {
      return model.Wide(layer, (middle.*side)[b]);
    });
    Choose({name + "output.dense"}, wide);
    hidden_ = Each([&](const auto& model, auto side, size_t b) {
      return model.LayerOutput(layer, (wide.*side)[b], (middle.*side)[b], {});
    });
  }

  void Pooler() {
    if (teacher_.parameters().count("bert.pooler.dense.weight") == 0) return;
    const Inputs first = Each([&](const auto&, auto side, size_t b) {
      return (hidden_.*side)[b].index_select(0, texts_[b].first_rows);
    });
    Choose({"bert.pooler.dense"}, first);
  }

 private:
  // `step`(model, &Inputs::teacher or student, batch) for each.
  template <typename Step>
  Inputs Each(Step step) const {
    Inputs all;
    for (size_t batch = 0; batch < texts_.size(); ++batch) {
      all.teacher.push_back(step(teacher_, &Inputs::teacher, batch));
      all.student.push_back(step(student_, &Inputs::student, batch));
    }
    return all;
  }

  // For Linear layers that read the same.
  void Choose(const std::vector<std::string>& layers, const Inputs& inputs) {
    const InputMoments moments = MomentsOf(inputs);
    for (const std::string& layer : layers) {
      const std::string name = layer + ".weight";
      const CalibratedMatrix chosen =
          CalibrateMatrix(teacher_.parameters().at(name), moments);
      const torch::Tensor latent =
          LatentWeights(chosen.latent, chosen.ternary.t, /*per_row=*/false)
              .contiguous();
      const TernaryWeights twn =
          Ternarize(Ternarizer::kTwn, /*per_row=*/false, latent, {});
      student_.ReplaceMatrix(name,
                             latent * (chosen.ternary.scales / twn.scales));
    }
  }

  const BertModule& teacher_;
  const std::vector<TokenBatch>& texts_;
  BertModule& student_;
  Inputs hidden_;  // before the next layer
};

}  // namespace

CalibratedMatrix CalibrateMatrix(const torch::Tensor& w,
                                 const InputMoments& moments) {
  constexpr double kRidge = 0.1;
  const torch::Tensor ridge = kRidge * moments.student.diagonal().mean() *
                              torch::eye(moments.student.size(0));
  const torch::Tensor h = moments.student + ridge;
  const torch::Tensor v =
      at::cholesky_solve(MatrixProduct((moments.cross + ridge).t(), w.t()),
                         at::linalg_cholesky(h))
          .t()
          .contiguous();
  const double alpha = Ternarize(Ternarizer::kTwn, /*per_row=*/false, v, {})
                           .scales.item<double>();

  const torch::Tensor order = h.diagonal().argsort(-1, /*descending=*/true);
  const torch::Tensor inverse = at::cholesky_inverse(
      at::linalg_cholesky(h.index_select(0, order).index_select(1, order)));
  const torch::Tensor u =
      at::linalg_cholesky(inverse, /*upper=*/true).contiguous();
  const RoundedColumns ordered =
      RoundColumns(v.index_select(1, order), u, alpha);
  const torch::Tensor place = order.argsort();
  const torch::Tensor t = ordered.t.index_select(1, place);
  const torch::Tensor th = MatrixProduct(t, h);
  const torch::Tensor scale = (v * th).sum() / (t * th).sum();
  return {{t.to(torch::kInt8), scale.reshape({1})},
          ordered.from.index_select(1, place)};
}

void Calibrate(const BertModule& teacher, const std::vector<TokenBatch>& texts,
               BertModule& student,
               absl::FunctionRef<void(int layers)> progress) {
  const torch::NoGradGuard no_grad;
  Calibrator calibrator(teacher, texts, student);
  for (int layer = 0; layer < teacher.config().layers; ++layer) {
    calibrator.Layer(layer);
    progress(layer + 1);
  }
  calibrator.Pooler();
}

}  // namespace tern

#include "train/kernel_functions.h"

#include <tuple>

#include "ATen/ATen.h"
#include "torch/csrc/autograd/custom_function.h"

namespace tern {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// A residual without elements stands for none: libtorch's functions take no
// undefined tensors.
struct AddLayerNormFunction : torch::autograd::Function<AddLayerNormFunction> {
  static torch::Tensor forward(AutogradContext* context, torch::Tensor x,
                               torch::Tensor residual, torch::Tensor gamma,
                               torch::Tensor beta, double epsilon) {
    x = x.contiguous();
    residual = residual.contiguous();
    torch::Tensor y = torch::empty_like(x);
    const int64_t k = x.size(1);
    AddLayerNormArgs all;
    all.k = all.x_stride = all.residual_stride = all.y_stride =
        static_cast<int>(k);
    all.x = x.data_ptr<float>();
    all.residual = residual.numel() > 0 ? residual.data_ptr<float>() : nullptr;
    all.gamma = gamma.data_ptr<float>();
    all.beta = beta.data_ptr<float>();
    all.epsilon = static_cast<float>(epsilon);
    all.y = y.data_ptr<float>();
    ForRows(x.size(0), [&](int64_t begin, int64_t end) {
      AddLayerNormArgs piece = all;
      piece.rows = static_cast<int>(end - begin);
      piece.x += begin * k;
      if (piece.residual != nullptr) piece.residual += begin * k;
      piece.y += begin * k;
      TrainingVariant().add_layer_norm(piece);
    });
    context->save_for_backward({x, residual, gamma, beta});
    context->saved_data["epsilon"] = epsilon;
    return y;
  }

  static variable_list backward(AutogradContext* context, variable_list dy) {
    const variable_list saved = context->get_saved_variables();
    const torch::Tensor &x = saved[0], &residual = saved[1], &gamma = saved[2],
                        &beta = saved[3];
    const bool has_residual = residual.numel() > 0;
    const torch::Tensor sum = has_residual ? x + residual : x;
    const std::vector<int64_t> shape = {x.size(1)};
    const auto [y, mean, inverse_deviation] = at::native_layer_norm(
        sum, shape, gamma, beta, context->saved_data["epsilon"].toDouble());
    const auto [dx, dgamma, dbeta] = at::native_layer_norm_backward(
        dy[0].contiguous(), sum, shape, mean, inverse_deviation, gamma, beta,
        {true, true, true});
    return {dx, has_residual ? dx : torch::Tensor(), dgamma, dbeta, {}};
  }
};

struct ActivateFunction : torch::autograd::Function<ActivateFunction> {
  static torch::Tensor forward(AutogradContext* context, torch::Tensor x,
                               int64_t activation) {
    torch::Tensor y = x.clone(at::MemoryFormat::Contiguous);
    const int64_t k = x.size(1);
    float* const data = y.data_ptr<float>();
    ForRows(x.size(0), [=](int64_t begin, int64_t end) {
      ActivateArgs args;
      args.activation = static_cast<Activation>(activation);
      args.rows = static_cast<int>(end - begin);
      args.k = args.x_stride = static_cast<int>(k);
      args.x = data + begin * k;
      TrainingVariant().activate(args);
    });
    context->save_for_backward({x, y});
    context->saved_data["activation"] = activation;
    return y;
  }

  static variable_list backward(AutogradContext* context, variable_list dy) {
    const variable_list saved = context->get_saved_variables();
    const torch::Tensor &x = saved[0], &y = saved[1], &g = dy[0];
    const auto activation =
        static_cast<Activation>(context->saved_data["activation"].toInt());
    switch (activation) {
      case Activation::kGelu:
        return {at::gelu_backward(g, x, "none"), {}};
      case Activation::kGeluTanh:
        return {at::gelu_backward(g, x, "tanh"), {}};
      case Activation::kRelu:
        return {g * (x > 0), {}};
      case Activation::kTanh:
        return {g * (1 - y * y), {}};
    }
    return {};
  }
};

}  // namespace

const Variant& TrainingVariant() {
  static const Variant* const variant = [] {
    const absl::StatusOr<const Variant*> chosen = ChooseVariant();
    TORCH_CHECK(chosen.ok(), std::string(chosen.status().message()));
    return *chosen;
  }();
  return *variant;
}

torch::Tensor AddLayerNorm(const torch::Tensor& x,
                           const torch::Tensor& residual,
                           const torch::Tensor& gamma,
                           const torch::Tensor& beta, float epsilon) {
  return AddLayerNormFunction::apply(
      x, residual.defined() ? residual : torch::empty({0}), gamma, beta,
      static_cast<double>(epsilon));
}

torch::Tensor Activate(const torch::Tensor& x, Activation activation) {
  return ActivateFunction::apply(x, static_cast<int64_t>(activation));
}

}  // namespace tern

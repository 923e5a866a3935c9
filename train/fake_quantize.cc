#include "train/fake_quantize.h"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#include "kernels/quantized_rows.h"
#include "kernels/ternarize.h"
#include "torch/csrc/autograd/custom_function.h"
#include "train/kernel_functions.h"
#include "train/matrix_product.h"

namespace tern {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Weights of one scale: t of `size` weights from w. `second_moment` may be
// null. LAT's curvature is its square root (Hou & Kwok 2018, section 3.1), as
// Adam's own step has it.
float TernarizeGroup(Ternarizer ternarizer, const float* w,
                     const float* second_moment, size_t size, int8_t* t) {
  if (ternarizer != Ternarizer::kLat || second_moment == nullptr) {
    return TernarizeTwn(w, size, t);
  }
  constexpr float kLeastCurvature = 1e-8f;
  std::vector<float> curvature(size);
  for (size_t i = 0; i < size; ++i) {
    curvature[i] = std::sqrt(second_moment[i]) + kLeastCurvature;
  }
  return TernarizeLat(w, curvature.data(), size, t);
}

const float* DataOrNull(const torch::Tensor& x) {
  return x.defined() ? x.data_ptr<float>() : nullptr;
}

// y[i][j] = fma(S_i * scale, y[i][j], bias[j]) for a row of n: the float steps
// of Variant::ternary_gemm.
__attribute__((target_clones("arch=haswell", "default"))) void DequantizeRow(
    float row_scale, float scale, const float* bias, int64_t n, float* y) {
  const float factor = row_scale * scale;
  for (int64_t j = 0; j < n; ++j) y[j] = std::fma(factor, y[j], bias[j]);
}

struct TernaryLinearFunction
    : torch::autograd::Function<TernaryLinearFunction> {
  static torch::Tensor forward(AutogradContext* context, torch::Tensor x,
                               torch::Tensor w, torch::Tensor bias,
                               torch::Tensor centered, torch::Tensor scales,
                               torch::Tensor t, double scale) {
    // Sums of at most k * 255: exact in F32 for k < 2^16.
    torch::Tensor y = MatrixProduct(centered, t.t());
    const int64_t n = y.size(1);
    const float* const s = scales.data_ptr<float>();
    const float* const b = bias.data_ptr<float>();
    float* const out = y.data_ptr<float>();
    ForRows(y.size(0), [=](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        DequantizeRow(s[i], static_cast<float>(scale), b, n, out + i * n);
      }
    });
    context->save_for_backward({centered, scales, t});
    context->saved_data["scale"] = scale;
    return y;
  }

  // dx = dy W, dW = dy^T x, db = sum dy, with the W and x that Forward used.
  static variable_list backward(AutogradContext* context, variable_list dy) {
    const variable_list saved = context->get_saved_variables();
    const torch::Tensor &centered = saved[0], &scales = saved[1], &t = saved[2];
    const double scale = context->saved_data["scale"].toDouble();
    const torch::Tensor& g = dy[0];
    torch::Tensor dx = MatrixProduct(g.to(t.scalar_type()), t).mul_(scale);
    const torch::Tensor scaled =
        (g * scales.unsqueeze(1)).to(centered.scalar_type());
    torch::Tensor dw = MatrixProduct(scaled.t(), centered);
    return {dx, dw, g.sum(0), {}, {}, {}, {}};
  }
};

struct TernaryEmbeddingFunction
    : torch::autograd::Function<TernaryEmbeddingFunction> {
  static torch::Tensor forward(AutogradContext* context, torch::Tensor w,
                               torch::Tensor ids, const float* moment,
                               Ternarizer ternarizer) {
    const int64_t rows = ids.size(0), k = w.size(1);
    torch::Tensor y = torch::empty({rows, k}, w.options().requires_grad(false));
    const int64_t* const id = ids.data_ptr<int64_t>();
    const float* const latent = w.data_ptr<float>();
    float* const out = y.data_ptr<float>();
    ForRows(rows, [=](int64_t begin, int64_t end) {
      std::vector<int8_t> t(k);
      for (int64_t i = begin; i < end; ++i) {
        const int64_t first = id[i] * k;
        const float scale = TernarizeGroup(
            ternarizer, latent + first,
            moment == nullptr ? nullptr : moment + first, k, t.data());
        for (int64_t p = 0; p < k; ++p) out[i * k + p] = scale * t[p];
      }
    });
    context->save_for_backward({ids});
    context->saved_data["vocabulary"] = w.size(0);
    return y;
  }

  static variable_list backward(AutogradContext* context, variable_list dy) {
    const torch::Tensor ids = context->get_saved_variables()[0];
    const int64_t vocabulary = context->saved_data["vocabulary"].toInt();
    return {at::embedding_dense_backward(dy[0].contiguous(), ids, vocabulary,
                                         /*padding_idx=*/-1,
                                         /*scale_grad_by_freq=*/false),
            {},
            {},
            {}};
  }
};

}  // namespace

TernaryWeights Ternarize(Ternarizer ternarizer, bool per_row,
                         const torch::Tensor& w,
                         const torch::Tensor& second_moment) {
  const int64_t groups = per_row ? w.size(0) : 1;
  const int64_t size = w.numel() / groups;
  TernaryWeights result{
      torch::empty(w.sizes(), torch::kInt8),
      torch::empty({groups}, torch::kFloat32),
  };
  const float* const latent = w.data_ptr<float>();
  const float* const moment = DataOrNull(second_moment);
  int8_t* const t = result.t.data_ptr<int8_t>();
  float* const scales = result.scales.data_ptr<float>();
  ForRows(groups, [=](int64_t begin, int64_t end) {
    for (int64_t g = begin; g < end; ++g) {
      scales[g] = TernarizeGroup(
          ternarizer, latent + g * size,
          moment == nullptr ? nullptr : moment + g * size, size, t + g * size);
    }
  });
  return result;
}

QuantizedInput QuantizeInput(const torch::Tensor& x,
                             torch::ScalarType product_type) {
  const torch::NoGradGuard no_grad;
  const torch::Tensor rows = x.detach().contiguous();
  QuantizedInput input;
  input.x = x;
  input.centered =
      torch::empty(rows.sizes(), rows.options().dtype(product_type));
  input.scales = torch::empty({rows.size(0)}, rows.options());
  float* const scales = input.scales.data_ptr<float>();
  const int64_t k = rows.size(1);
  QuantizeEachRow(rows, [&](int64_t i, const uint8_t* q, RowScale row) {
    scales[i] = row.scale;
    if (product_type == torch::kBFloat16) {
      // Whole numbers up to 256 have zeros below BF16's mantissa.
      uint16_t* const out =
          static_cast<uint16_t*>(input.centered.data_ptr()) + i * k;
      for (int64_t p = 0; p < k; ++p) {
        const float centered = static_cast<float>(q[p] - row.zero_point);
        uint32_t bits;
        std::memcpy(&bits, &centered, sizeof bits);
        out[p] = static_cast<uint16_t>(bits >> 16);
      }
    } else {
      float* const out = input.centered.data_ptr<float>() + i * k;
      for (int64_t p = 0; p < k; ++p) out[p] = q[p] - row.zero_point;
    }
  });
  return input;
}

torch::Tensor FakeQuantizeRows(const torch::Tensor& x) {
  const torch::NoGradGuard no_grad;
  const torch::Tensor rows = x.detach().contiguous().view({-1, x.size(-1)});
  torch::Tensor y = torch::empty_like(rows);
  float* const out = y.data_ptr<float>();
  const int64_t k = rows.size(1);
  QuantizeEachRow(rows, [=](int64_t i, const uint8_t* q, RowScale row) {
    for (int64_t p = 0; p < k; ++p) {
      out[i * k + p] = row.scale * static_cast<float>(q[p] - row.zero_point);
    }
  });
  return y.view(x.sizes());
}

torch::Tensor TernaryLinear(const QuantizedInput& x, const torch::Tensor& w,
                            const torch::Tensor& bias, const torch::Tensor& t,
                            float scale) {
  return TernaryLinearFunction::apply(x.x, w, bias, x.centered, x.scales, t,
                                      static_cast<double>(scale));
}

torch::Tensor TernaryEmbedding(Ternarizer ternarizer, const torch::Tensor& w,
                               const torch::Tensor& second_moment,
                               const torch::Tensor& ids) {
  return TernaryEmbeddingFunction::apply(w, ids, DataOrNull(second_moment),
                                         ternarizer);
}

}  // namespace tern

#include "train/fake_quantize.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#include "kernels/quantized_rows.h"
#include "kernels/ternarize.h"
#include "model/ternary_folder.h"
#include "torch/csrc/autograd/custom_function.h"
#include "train/kernel_functions.h"
#include "train/matrix_product.h"
#include "train/vector_clones.h"

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
TERN_VECTOR_CLONES void DequantizeRow(float row_scale, float scale,
                                      const float* bias, int64_t n, float* y) {
  const float factor = row_scale * scale;
  for (int64_t j = 0; j < n; ++j) y[j] = std::fma(factor, y[j], bias[j]);
}

TERN_VECTOR_CLONES void Center(const uint8_t* q, int32_t zero_point, int64_t k,
                               float* out) {
  for (int64_t p = 0; p < k; ++p) {
    out[p] = static_cast<float>(q[p] - zero_point);
  }
}

// Whole numbers up to 256 have zeros below BF16's mantissa.
void CenterInBFloat16(const uint8_t* q, int32_t zero_point, int64_t k,
                      uint16_t* out) {
  for (int64_t p = 0; p < k; ++p) {
    const float centered = static_cast<float>(q[p] - zero_point);
    uint32_t bits;
    std::memcpy(&bits, &centered, sizeof bits);
    out[p] = static_cast<uint16_t>(bits >> 16);
  }
}

TERN_VECTOR_CLONES void DequantizeValues(const uint8_t* q, RowScale row,
                                         int64_t k, float* out) {
  for (int64_t p = 0; p < k; ++p) {
    out[p] = row.scale * static_cast<float>(q[p] - row.zero_point);
  }
}

// By the serving kernel.
torch::Tensor KernelProduct(const QuantizedInput& x,
                            const PackedTernary& packed,
                            const torch::Tensor& bias) {
  constexpr int64_t kRowsPerTile = 64;
  const int64_t m = x.q.size(0), stride = x.q.size(1), n = packed.n;
  torch::Tensor y = torch::empty({m, n}, bias.options().requires_grad(false));
  const auto multiply = [&](int64_t first, int64_t rows) {
    TernaryGemmArgs args;
    args.x.rows = static_cast<int>(rows);
    args.x.k = packed.k;
    args.x.stride = static_cast<int>(stride);
    args.x.values = x.q.data_ptr<uint8_t>() + first * stride;
    args.x.scales = const_cast<RowScale*>(x.row_scales.data()) + first;
    args.w = &packed;
    args.bias = bias.data_ptr<float>();
    args.y = y.data_ptr<float>() + first * n;
    args.y_stride = args.last_column = static_cast<int>(n);
    TrainingVariant().ternary_gemm(args);
  };
  const int64_t tiles = (m + kRowsPerTile - 1) / kRowsPerTile;
  at::parallel_for(0, tiles, 1, [&](int64_t begin, int64_t end) {
    for (int64_t tile = begin; tile < end; ++tile) {
      const int64_t first = tile * kRowsPerTile;
      multiply(first, std::min(kRowsPerTile, m - first));
    }
  });
  return y;
}

// The same by floats, which hold these integers exactly: sums are at most
// k * 255, exact in F32 for k < 2^16.
torch::Tensor FloatProduct(const QuantizedInput& x, const TernaryFactor& factor,
                           const torch::Tensor& bias) {
  torch::Tensor y = MatrixProduct(x.centered, factor.t.t());
  const int64_t n = y.size(1);
  const float* const s = x.scales.data_ptr<float>();
  const float* const b = bias.data_ptr<float>();
  float* const out = y.data_ptr<float>();
  ForRows(y.size(0), [=, scale = factor.scale](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      DequantizeRow(s[i], scale, b, n, out + i * n);
    }
  });
  return y;
}

struct TernaryLinearFunction
    : torch::autograd::Function<TernaryLinearFunction> {
  static torch::Tensor forward(AutogradContext* context, torch::Tensor x,
                               torch::Tensor w, torch::Tensor bias,
                               const QuantizedInput* quantized,
                               const TernaryFactor* factor) {
    context->save_for_backward(
        {quantized->centered, quantized->scales, factor->t});
    context->saved_data["scale"] = static_cast<double>(factor->scale);
    return factor->packed ? KernelProduct(*quantized, *factor->packed, bias)
                          : FloatProduct(*quantized, *factor, bias);
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
    return {dx, dw, g.sum(0), {}, {}};
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

TernaryFactor MakeTernaryFactor(const TernaryWeights& weights,
                                torch::ScalarType product_type) {
  TernaryFactor factor{weights.t.to(product_type), weights.scales.item<float>(),
                       nullptr};
  if (product_type != torch::kFloat32) return factor;
  const int64_t n = weights.t.size(0), k = weights.t.size(1);
  const std::vector<uint8_t> codes = EncodeTernary(
      {weights.t.data_ptr<int8_t>(), static_cast<size_t>(n * k)}, n, k);
  factor.packed = std::make_shared<PackedTernary>(
      TrainingVariant().pack_ternary({static_cast<int>(n), static_cast<int>(k),
                                      codes.data(), factor.scale}));
  return factor;
}

QuantizedInput QuantizeInput(const torch::Tensor& x,
                             torch::ScalarType product_type) {
  const torch::NoGradGuard no_grad;
  const torch::Tensor rows = x.detach().contiguous();
  const int64_t m = rows.size(0), k = rows.size(1);
  const int64_t stride = PaddedDepth(static_cast<int>(k));
  QuantizedInput input;
  input.x = x;
  input.centered =
      torch::empty(rows.sizes(), rows.options().dtype(product_type));
  input.scales = torch::empty({m}, rows.options());
  float* const scales = input.scales.data_ptr<float>();
  if (product_type == torch::kBFloat16) {
    uint16_t* const out = static_cast<uint16_t*>(input.centered.data_ptr());
    QuantizeEachRow(rows, [=](int64_t i, const uint8_t* q, RowScale row) {
      scales[i] = row.scale;
      CenterInBFloat16(q, row.zero_point, k, out + i * k);
    });
    return input;
  }
  input.q = torch::empty({m, stride}, rows.options().dtype(torch::kUInt8));
  input.row_scales.resize(m);
  uint8_t* const kept = input.q.data_ptr<uint8_t>();
  float* const out = input.centered.data_ptr<float>();
  QuantizeEachRow(rows, [&, k](int64_t i, const uint8_t* q, RowScale row) {
    scales[i] = row.scale;
    input.row_scales[i] = row;
    std::copy_n(q, stride, kept + i * stride);
    Center(q, row.zero_point, k, out + i * k);
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
    DequantizeValues(q, row, k, out + i * k);
  });
  return y.view(x.sizes());
}

void FakeQuantizeRow(float* x, int64_t k) {
  QuantizeRows(x, 1, k, [=](int64_t, const uint8_t* q, RowScale row) {
    DequantizeValues(q, row, k, x);
  });
}

torch::Tensor TernaryLinear(const QuantizedInput& x, const torch::Tensor& w,
                            const torch::Tensor& bias,
                            const TernaryFactor& factor) {
  return TernaryLinearFunction::apply(x.x, w, bias, &x, &factor);
}

torch::Tensor TernaryEmbedding(Ternarizer ternarizer, const torch::Tensor& w,
                               const torch::Tensor& second_moment,
                               const torch::Tensor& ids) {
  return TernaryEmbeddingFunction::apply(w, ids, DataOrNull(second_moment),
                                         ternarizer);
}

}  // namespace tern

#include "train/attention.h"

#include <cmath>
#include <limits>

#include "ATen/ATen.h"
#include "kernels/aligned_buffer.h"
#include "kernels/attention.h"
#include "torch/csrc/autograd/custom_function.h"
#include "train/fake_quantize.h"
#include "train/kernel_functions.h"
#include "train/matrix_product.h"

namespace tern {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Between rows [tokens, hidden] and padded heads [sequences * heads, longest,
// head_dim].
struct Layout {
  int64_t sequences, longest, heads, head_dim;
  torch::Tensor padded_rows;

  Layout(const TokenBatch& batch, int64_t heads, int64_t hidden)
      : sequences(batch.sequences()),
        longest(batch.longest),
        heads(heads),
        head_dim(hidden / heads),
        padded_rows(batch.padded_rows) {}

  torch::Tensor ToHeads(const torch::Tensor& rows) const {
    return rows.new_zeros({sequences * longest, heads * head_dim})
        .index_copy(0, padded_rows, rows)
        .view({sequences, longest, heads, head_dim})
        .transpose(1, 2)
        .reshape({sequences * heads, longest, head_dim});
  }

  torch::Tensor ToRows(const torch::Tensor& padded) const {
    return padded.view({sequences, heads, longest, head_dim})
        .transpose(1, 2)
        .reshape({sequences * longest, heads * head_dim})
        .index_select(0, padded_rows);
  }
};

// [sequences * heads, 1, longest]: 0 for a key that is there, -inf for padding.
torch::Tensor KeyMask(const TokenBatch& batch, int64_t heads) {
  return at::where(batch.valid > 0, 0.0,
                   -std::numeric_limits<double>::infinity())
      .to(torch::kFloat32)
      .repeat_interleave(heads, 0)
      .unsqueeze(1);
}

// MatrixProduct of batches with gradients.
struct ProductFunction : torch::autograd::Function<ProductFunction> {
  static torch::Tensor forward(AutogradContext* context, torch::Tensor a,
                               torch::Tensor b) {
    context->save_for_backward({a, b});
    return MatrixProduct(a, b);
  }
  static variable_list backward(AutogradContext* context, variable_list dc) {
    const variable_list saved = context->get_saved_variables();
    return {MatrixProduct(dc[0], saved[1].transpose(1, 2)),
            MatrixProduct(saved[0].transpose(1, 2), dc[0])};
  }
};

// AttentionInt8 for every head of every sequence.
torch::Tensor KernelContext(const torch::Tensor& q, const torch::Tensor& k,
                            const torch::Tensor& v,
                            const std::vector<int32_t>& starts, int64_t heads,
                            int64_t longest) {
  const int64_t hidden = q.size(1);
  const int head_dim = static_cast<int>(hidden / heads);
  const int64_t sequences = static_cast<int64_t>(starts.size()) - 1;
  torch::Tensor context = torch::empty_like(q);
  AttentionArgs all;
  all.head_dim = head_dim;
  all.stride = all.context_stride = static_cast<int>(hidden);
  all.q = q.data_ptr<float>();
  all.k = k.data_ptr<float>();
  all.v = v.data_ptr<float>();
  all.context = context.data_ptr<float>();
  const size_t scratch_bytes =
      AttentionScratchBytes(static_cast<int>(longest), head_dim);
  ForRows(sequences * heads, [&](int64_t begin, int64_t end) {
    AlignedBuffer<uint8_t> scratch(scratch_bytes);
    for (int64_t task = begin; task < end; ++task) {
      const int64_t sequence = task / heads;
      const int64_t offset =
          starts[sequence] * hidden + task % heads * head_dim;
      AttentionArgs args = all;
      args.length = starts[sequence + 1] - starts[sequence];
      args.q += offset;
      args.k += offset;
      args.v += offset;
      args.context += offset;
      args.scratch = scratch.data();
      TrainingVariant().attention_int8(args);
    }
  });
  return context;
}

// v [sequences * heads, longest, d] with one scale per head. Padding is zero,
// and the range holds zero anyway.
torch::Tensor FakeQuantizeHeads(const torch::Tensor& v) {
  return FakeQuantizeRows(v.view({v.size(0), -1})).view(v.sizes());
}

struct QuantizedAttendFunction
    : torch::autograd::Function<QuantizedAttendFunction> {
  static variable_list forward(AutogradContext* context, torch::Tensor q,
                               torch::Tensor k, torch::Tensor v,
                               const TokenBatch* batch, int64_t heads) {
    q = q.contiguous();
    k = k.contiguous();
    v = v.contiguous();
    const Layout layout(*batch, heads, q.size(1));
    const torch::Tensor q8 = FakeQuantizeRows(layout.ToHeads(q));
    const torch::Tensor k8 = FakeQuantizeRows(layout.ToHeads(k));
    const torch::Tensor v8 = FakeQuantizeHeads(layout.ToHeads(v));
    const double unit = 1 / std::sqrt(static_cast<double>(layout.head_dim));
    const torch::Tensor scores =
        MatrixProduct(q8, k8.transpose(1, 2)).mul_(unit);
    const torch::Tensor mask = KeyMask(*batch, heads);
    context->save_for_backward({q8, k8, v8, scores, mask, batch->padded_rows});
    context->saved_data["sequences"] = batch->sequences();
    context->saved_data["heads"] = heads;
    return {KernelContext(q, k, v, batch->starts, heads, batch->longest),
            scores};
  }

  static variable_list backward(AutogradContext* context, variable_list dy) {
    const variable_list saved = context->get_saved_variables();
    const torch::Tensor &q8 = saved[0], &k8 = saved[1], &v8 = saved[2],
                        &scores = saved[3], &mask = saved[4];
    TokenBatch batch;
    batch.starts.resize(context->saved_data["sequences"].toInt() + 1);
    batch.longest = q8.size(1);
    batch.padded_rows = saved[5];
    const int64_t heads = context->saved_data["heads"].toInt();
    const Layout layout(batch, heads, heads * q8.size(2));
    const double unit = 1 / std::sqrt(static_cast<double>(layout.head_dim));

    torch::Tensor dscores = torch::zeros_like(scores);
    torch::Tensor dv = torch::zeros_like(v8);
    if (dy[0].defined()) {
      const torch::Tensor dcontext = layout.ToHeads(dy[0]);
      const torch::Tensor masked = scores + mask;
      const torch::Tensor e = (masked - masked.amax(-1, true)).exp_();
      const torch::Tensor sum = e.sum(-1, true);
      dv = MatrixProduct(((e * 255).round_() / (255 * sum)).transpose(1, 2),
                         dcontext);
      const torch::Tensor dp = MatrixProduct(dcontext, v8.transpose(1, 2));
      dscores = at::_softmax_backward_data(dp, e / sum, -1, torch::kFloat32);
    }
    if (dy[1].defined()) dscores = dscores + dy[1];
    dscores = dscores * unit;
    return {layout.ToRows(MatrixProduct(dscores, k8)),
            layout.ToRows(MatrixProduct(dscores.transpose(1, 2), q8)),
            layout.ToRows(dv),
            {},
            {}};
  }
};

}  // namespace

AttentionOutput Attend(const torch::Tensor& q, const torch::Tensor& k,
                       const torch::Tensor& v, const TokenBatch& batch,
                       int64_t heads, double dropout,
                       ActivationScheme activations) {
  const Layout layout(batch, heads, q.size(1));
  const auto heads_of = [&](const torch::Tensor& rows) {
    return layout.ToHeads(SimulateActivations(activations, rows));
  };
  const double unit = 1 / std::sqrt(static_cast<double>(layout.head_dim));
  const torch::Tensor scores =
      ProductFunction::apply(heads_of(q), heads_of(k).transpose(1, 2)) * unit;
  torch::Tensor p = SimulateActivations(
      activations, (scores + KeyMask(batch, heads)).softmax(-1));
  if (dropout > 0) p = torch::dropout(p, dropout, /*train=*/true);
  return {layout.ToRows(ProductFunction::apply(p, heads_of(v))), scores};
}

AttentionOutput QuantizedAttend(const torch::Tensor& q, const torch::Tensor& k,
                                const torch::Tensor& v, const TokenBatch& batch,
                                int64_t heads) {
  const variable_list output =
      QuantizedAttendFunction::apply(q, k, v, &batch, heads);
  return {output[0], output[1]};
}

}  // namespace tern

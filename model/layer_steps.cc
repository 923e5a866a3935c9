#include "model/layer_steps.h"

#include <cstddef>

namespace tern {
namespace {

QuantizedRows Slice(const QuantizedRows& all, int begin, int end) {
  QuantizedRows slice = all;
  slice.rows = end - begin;
  slice.values += static_cast<ptrdiff_t>(begin) * all.stride;
  slice.scales += begin;
  return slice;
}

// Where a quantized layer's next input goes; nowhere for fp32.
QuantizedRows QuantizeInto(const LayerContext& context,
                           const QuantizedRows& all, int begin, int end) {
  return context.quantized ? Slice(all, begin, end) : QuantizedRows{};
}

}  // namespace

QuantizedRows Narrow(QuantizedRows bytes, int k) {
  bytes.k = k;
  bytes.stride = PaddedDepth(k);
  return bytes;
}

LinearInput Input(int rows, const float* x, int k, const QuantizedRows& bytes) {
  LinearInput input;
  input.rows = rows;
  input.x = x;
  input.x_stride = k;
  input.quantized = bytes;
  input.quantized.rows = rows;
  return input;
}

void AddNorm(const LayerContext& context, const LayerNorm& norm, int rows,
             const float* x, const float* residual, float* y,
             const QuantizedRows& bytes, ThreadTeam& team) {
  const ptrdiff_t k = norm.gamma.size();
  ForRows(team, rows, [&](int begin, int end) {
    AddLayerNormArgs args;
    args.rows = end - begin;
    args.k = args.x_stride = args.residual_stride = args.y_stride = k;
    args.x = x + begin * k;
    if (residual != nullptr) args.residual = residual + begin * k;
    args.gamma = norm.gamma.data();
    args.beta = norm.beta.data();
    args.normalize = norm.normalize;
    args.epsilon = norm.epsilon;
    args.y = y + begin * k;
    args.out = QuantizeInto(context, bytes, begin, end);
    context.variant.add_layer_norm(args);
  });
}

void Activate(const LayerContext& context, Activation activation, int rows,
              int k, float* x, const QuantizedRows& bytes, ThreadTeam& team) {
  ForRows(team, rows, [&](int begin, int end) {
    ActivateArgs args;
    args.activation = activation;
    args.rows = end - begin;
    args.k = args.x_stride = k;
    args.x = x + static_cast<ptrdiff_t>(begin) * k;
    args.out = QuantizeInto(context, bytes, begin, end);
    context.variant.activate(args);
  });
}

void Quantize(const LayerContext& context, int rows, int k, const float* x,
              const QuantizedRows& bytes, ThreadTeam& team) {
  if (!context.quantized) return;
  ForRows(team, rows, [&](int begin, int end) {
    QuantizeRowsArgs args;
    args.rows = end - begin;
    args.k = args.x_stride = k;
    args.x = x + static_cast<ptrdiff_t>(begin) * k;
    args.out = Slice(bytes, begin, end);
    context.variant.quantize_rows(args);
  });
}

void DenseNorm::Forward(const LayerContext& context, const LinearInput& input,
                        const float* residual, float* y,
                        const QuantizedRows& bytes, const TileScratch& tile,
                        ThreadTeam& team) const {
  const int k = static_cast<int>(norm.gamma.size());
  RunLinears({{dense.get(), tile.dense, k}}, input, team);
  AddNorm(context, norm, input.rows, tile.dense, residual, y, bytes, team);
}

void FeedForwardNetwork::Forward(const LayerContext& context, int rows, int k,
                                 float* x, const QuantizedRows& bytes,
                                 const TileScratch& tile,
                                 ThreadTeam& team) const {
  const int wide = context.config.intermediate_size;
  RunLinears({{intermediate.get(), tile.intermediate, wide}},
             Input(rows, x, k, bytes), team);
  Activate(context, context.config.activation, rows, wide, tile.intermediate,
           tile.quantized_intermediate, team);
  output.Forward(
      context,
      Input(rows, tile.intermediate, wide, tile.quantized_intermediate), x, x,
      bytes, tile, team);
}

}  // namespace tern

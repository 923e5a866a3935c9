#include "model/layers.h"

#include <algorithm>
#include <array>
#include <cstddef>

namespace tern {
namespace {

// sum_i x[i] w[i] in 16 lanes and then a tree, the order of row_ops.h without
// fused multiply-adds; the compiler vectorizes it for the baseline.
float Dot(const float* x, const float* w, int k) {
  constexpr int kLanes = 16;
  std::array<float, kLanes> lanes{};
  int i = 0;
  for (; i + kLanes <= k; i += kLanes) {
    for (int lane = 0; lane < kLanes; ++lane) {
      lanes[lane] += x[i + lane] * w[i + lane];
    }
  }
  for (int lane = 0; i < k; ++i, ++lane) lanes[lane] += x[i] * w[i];
  for (int half = kLanes / 2; half > 0; half /= 2) {
    for (int lane = 0; lane < half; ++lane) lanes[lane] += lanes[lane + half];
  }
  return lanes[0];
}

}  // namespace

void AddRow(const float* x, int k, float* y) {
  for (int i = 0; i < k; ++i) y[i] += x[i];
}

void WordEmbeddings::AddTo(int id, int k, float* y) const {
  if (!floats.empty()) {
    AddRow(floats.data() + static_cast<size_t>(id) * k, k, y);
    return;
  }
  const uint8_t* row = codes.data() + static_cast<size_t>(id) * ((k + 3) / 4);
  const float scale = scales[id];
  const std::array<float, 3> values = {-scale, 0.0f, scale};
  for (int i = 0; i < k; ++i) y[i] += values[(row[i / 4] >> (2 * (i % 4))) & 3];
}

void BertEmbeddings::Forward(const LayerContext& context, const Batch& batch,
                             RowRange rows, float* hidden,
                             const TileScratch& tile, ThreadTeam& team) const {
  const ptrdiff_t k = context.config.hidden_size;
  float* const first = hidden + rows.begin * k;
  ForRows(team, rows.count(), [&](int begin, int end) {
    for (int row = rows.begin + begin; row < rows.begin + end; ++row) {
      const ptrdiff_t position = row - batch.starts[batch.SequenceOf(row)];
      float* y = hidden + row * k;
      // The order of the additions is that of Hugging Face's models.
      std::fill_n(y, k, 0.0f);
      words.AddTo(batch.token_ids[row], k, y);
      if (!types.empty()) AddRow(&types[batch.type_ids[row] * k], k, y);
      AddRow(&positions[position * k], k, y);
    }
  });
  AddNorm(context, norm, rows.count(), first, nullptr, first, tile.quantized,
          team);
}

void BertLayer::ProjectQkv(const LayerContext& context, RowRange rows,
                           Workspace& workspace, const TileScratch& tile,
                           ThreadTeam& team) const {
  const ptrdiff_t k = context.config.hidden_size;
  const int stride = 3 * context.config.hidden_size;
  float* y = workspace.qkv() + static_cast<ptrdiff_t>(rows.begin) * stride;
  RunLinears({{query.get(), y, stride},
              {key.get(), y + k, stride},
              {value.get(), y + 2 * k, stride}},
             Input(rows.count(), workspace.hidden() + rows.begin * k, k,
                   tile.quantized),
             team);
}

void BertLayer::FeedForward(const LayerContext& context, RowRange rows,
                            Workspace& workspace, const TileScratch& tile,
                            ThreadTeam& team) const {
  const int count = rows.count();
  const int k = context.config.hidden_size;
  const ptrdiff_t first = static_cast<ptrdiff_t>(rows.begin) * k;
  float* const hidden = workspace.hidden() + first;
  const float* const attended = workspace.context() + first;
  Quantize(context, count, k, attended, tile.quantized, team);
  attention_output.Forward(context, Input(count, attended, k, tile.quantized),
                           hidden, hidden, tile.quantized, tile, team);
  feed_forward.Forward(context, count, k, hidden, tile.quantized, tile, team);
}

void Attend(const LayerContext& context, const Batch& batch,
            Workspace& workspace, ThreadTeam& team) {
  const BertConfig& config = context.config;
  const int heads = config.heads;
  const int size = config.attention_size();
  const auto attention = context.integer_attention
                             ? context.variant.attention_int8
                             : context.variant.attention_fp32;
  team.For(batch.sequences() * heads, [&](int task, int thread) {
    const int sequence = task / heads;
    const int head = task % heads;
    const ptrdiff_t first = batch.starts[sequence];
    AttentionArgs args;
    args.length = batch.length(sequence);
    args.head_dim = config.head_dim();
    args.stride = 3 * size;
    args.q = workspace.qkv() + first * args.stride + head * args.head_dim;
    args.k = args.q + size;
    args.v = args.k + size;
    args.context_stride = size;
    args.context = workspace.context() + first * args.context_stride +
                   head * args.head_dim;
    args.scratch = workspace.attention_scratch(thread);
    attention(args);
  });
}

void Head::Forward(const LayerContext& context, RowRange rows,
                   const float* hidden, float* logits, const TileScratch& tile,
                   ThreadTeam& team) const {
  const int k = context.config.hidden_size;
  const int outputs = context.config.outputs();
  const int count = rows.count();
  const float* features = hidden + static_cast<ptrdiff_t>(rows.begin) * k;
  if (pooler != nullptr) {
    RunLinears({{pooler.get(), tile.dense, k}},
               Input(count, features, k, tile.quantized), team);
    LayerContext floats = context;
    floats.quantized = false;
    Activate(floats, pooler_activation, count, k, tile.dense, {}, team);
    features = tile.dense;
  }
  logits += static_cast<ptrdiff_t>(rows.begin) * outputs;
  ForRows(team, count, [&](int begin, int end) {
    for (int row = begin; row < end; ++row) {
      for (int j = 0; j < outputs; ++j) {
        logits[row * outputs + j] =
            Dot(features + static_cast<ptrdiff_t>(row) * k,
                weight.data() + static_cast<ptrdiff_t>(j) * k, k) +
            bias[j];
      }
    }
  });
}

}  // namespace tern

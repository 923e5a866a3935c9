#include "model/layers.h"

#include <algorithm>
#include <array>
#include <cstddef>

namespace tern {
namespace {

// Row operations take about this many rows a task: enough to be worth handing
// over, few enough to share out evenly.
constexpr int kRowsPerTask = 8;

// Calls task(begin, end) on pieces of [0, rows).
template <typename Task>
void ForRows(ThreadTeam& team, int rows, const Task& task) {
  const int rows_per_task = team.threads() == 1 ? rows : kRowsPerTask;
  if (rows == 0) return;
  team.For((rows + rows_per_task - 1) / rows_per_task, [&](int piece, int) {
    const int begin = piece * rows_per_task;
    task(begin, std::min(begin + rows_per_task, rows));
  });
}

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

LinearInput Input(int rows, const float* x, int k, const QuantizedRows& bytes) {
  LinearInput input;
  input.rows = rows;
  input.x = x;
  input.x_stride = k;
  input.quantized = bytes;
  input.quantized.rows = rows;
  return input;
}

// hidden = LayerNorm(x + hidden), quantized into `bytes`.
void AddNorm(const LayerContext& context, const LayerNorm& norm, int rows,
             const float* x, float* hidden, const QuantizedRows& bytes,
             ThreadTeam& team) {
  const ptrdiff_t k = context.config.hidden_size;
  ForRows(team, rows, [&](int begin, int end) {
    AddLayerNormArgs args;
    args.rows = end - begin;
    args.k = args.x_stride = args.residual_stride = args.y_stride = k;
    args.x = x + begin * k;
    args.residual = hidden + begin * k;
    args.gamma = norm.gamma.data();
    args.beta = norm.beta.data();
    args.epsilon = context.config.layer_norm_epsilon;
    args.y = hidden + begin * k;
    args.out = QuantizeInto(context, bytes, begin, end);
    context.variant.add_layer_norm(args);
  });
}

// x = activation(x), quantized into `bytes`.
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

void Quantize(const LayerContext& context, int rows, const float* x,
              const QuantizedRows& bytes, ThreadTeam& team) {
  if (!context.quantized) return;
  const ptrdiff_t k = context.config.hidden_size;
  ForRows(team, rows, [&](int begin, int end) {
    QuantizeRowsArgs args;
    args.rows = end - begin;
    args.k = args.x_stride = k;
    args.x = x + begin * k;
    args.out = Slice(bytes, begin, end);
    context.variant.quantize_rows(args);
  });
}

// y += x, both [hidden].
void AddRow(const float* x, int hidden, float* y) {
  for (int i = 0; i < hidden; ++i) y[i] += x[i];
}

// Adds row `id` of the word embedding to y [hidden].
void AddWord(const WordEmbeddings& words, int id, int hidden, float* y) {
  if (!words.floats.empty()) {
    AddRow(words.floats.data() + static_cast<size_t>(id) * hidden, hidden, y);
    return;
  }
  const uint8_t* codes =
      words.codes.data() + static_cast<size_t>(id) * ((hidden + 3) / 4);
  const float scale = words.scales[id];
  const std::array<float, 3> values = {-scale, 0.0f, scale};
  for (int i = 0; i < hidden; ++i) {
    y[i] += values[(codes[i / 4] >> (2 * (i % 4))) & 3];
  }
}

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

void Embeddings::Forward(const LayerContext& context, const Batch& batch,
                         RowRange rows, float* hidden, const TileScratch& tile,
                         ThreadTeam& team) const {
  const BertConfig& config = context.config;
  const size_t k = config.hidden_size;
  ForRows(team, rows.count(), [&](int begin, int end) {
    // The sequence that the first row belongs to.
    auto start = std::upper_bound(batch.starts.begin(), batch.starts.end(),
                                  rows.begin + begin) -
                 1;
    for (int row = rows.begin + begin; row < rows.begin + end; ++row) {
      if (row == *(start + 1)) ++start;
      float* y = hidden + row * k;
      // The order of the additions is that of Hugging Face's models.
      std::fill_n(y, k, 0.0f);
      AddWord(words, batch.token_ids[row], config.hidden_size, y);
      if (!types.empty()) {
        AddRow(types.data() + batch.type_ids[row] * k, config.hidden_size, y);
      }
      AddRow(positions.data() + (row - *start) * k, config.hidden_size, y);
    }
    AddLayerNormArgs args;
    args.rows = end - begin;
    args.k = args.x_stride = args.y_stride = config.hidden_size;
    args.x = args.y = hidden + (rows.begin + begin) * k;
    args.gamma = norm.gamma.data();
    args.beta = norm.beta.data();
    args.epsilon = config.layer_norm_epsilon;
    args.out = QuantizeInto(context, tile.quantized, begin, end);
    context.variant.add_layer_norm(args);
  });
}

void EncoderLayer::ProjectQkv(const LayerContext& context, RowRange rows,
                              const float* hidden, float* qkv,
                              const TileScratch& tile, ThreadTeam& team) const {
  const ptrdiff_t k = context.config.hidden_size;
  const int stride = 3 * context.config.hidden_size;
  float* y = qkv + static_cast<ptrdiff_t>(rows.begin) * stride;
  RunLinears({{query.get(), y, stride},
              {key.get(), y + k, stride},
              {value.get(), y + 2 * k, stride}},
             Input(rows.count(), hidden + rows.begin * k, k, tile.quantized),
             team);
}

void Attend(const LayerContext& context, const Batch& batch,
            Workspace& workspace, ThreadTeam& team) {
  const BertConfig& config = context.config;
  const int heads = config.heads;
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
    args.stride = 3 * config.hidden_size;
    args.q = workspace.qkv() + first * args.stride + head * args.head_dim;
    args.k = args.q + config.hidden_size;
    args.v = args.k + config.hidden_size;
    args.context_stride = config.hidden_size;
    args.context = workspace.context() + first * args.context_stride +
                   head * args.head_dim;
    args.scratch = workspace.attention_scratch(thread);
    attention(args);
  });
}

void EncoderLayer::FeedForward(const LayerContext& context, RowRange rows,
                               const float* attention_context, float* hidden,
                               const TileScratch& tile,
                               ThreadTeam& team) const {
  const BertConfig& config = context.config;
  const int count = rows.count();
  const int k = config.hidden_size;
  const ptrdiff_t first = static_cast<ptrdiff_t>(rows.begin) * k;
  hidden += first;
  attention_context += first;

  Quantize(context, count, attention_context, tile.quantized, team);
  RunLinears({{attention_output.get(), tile.dense, k}},
             Input(count, attention_context, k, tile.quantized), team);
  AddNorm(context, attention_norm, count, tile.dense, hidden, tile.quantized,
          team);

  const int wide = config.intermediate_size;
  RunLinears({{intermediate.get(), tile.intermediate, wide}},
             Input(count, hidden, k, tile.quantized), team);
  Activate(context, config.activation, count, wide, tile.intermediate,
           tile.quantized_intermediate, team);
  RunLinears({{output.get(), tile.dense, k}},
             Input(count, tile.intermediate, wide, tile.quantized_intermediate),
             team);
  AddNorm(context, output_norm, count, tile.dense, hidden, tile.quantized,
          team);
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

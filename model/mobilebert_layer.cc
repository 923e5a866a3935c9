#include "model/mobilebert_layer.h"

#include <algorithm>
#include <cstddef>

namespace tern {

void MobileBertEmbeddings::Forward(const LayerContext& context,
                                   const Batch& batch, RowRange rows,
                                   float* hidden, const TileScratch& tile,
                                   ThreadTeam& team) const {
  const int word = context.config.mobilebert.word_size;
  const int trigram = 3 * word;
  const ptrdiff_t k = context.config.hidden_size;
  const int count = rows.count();
  float* const trigrams = tile.intermediate;
  ForRows(team, count, [&](int begin, int end) {
    for (int i = begin; i < end; ++i) {
      const int row = rows.begin + i;
      const int sequence = batch.SequenceOf(row);
      float* y = trigrams + static_cast<ptrdiff_t>(i) * trigram;
      std::fill_n(y, trigram, 0.0f);
      for (const int neighbour : {row + 1, row, row - 1}) {
        if (neighbour >= batch.starts[sequence] &&
            neighbour < batch.starts[sequence + 1]) {
          words.AddTo(batch.token_ids[neighbour], word, y);
        }
        y += word;
      }
    }
  });
  const QuantizedRows bytes = Narrow(tile.quantized_intermediate, trigram);
  Quantize(context, count, trigram, trigrams, bytes, team);

  float* const first = hidden + rows.begin * k;
  RunLinears({{transformation.get(), first, static_cast<int>(k)}},
             Input(count, trigrams, trigram, bytes), team);
  ForRows(team, count, [&](int begin, int end) {
    for (int row = rows.begin + begin; row < rows.begin + end; ++row) {
      const ptrdiff_t position = row - batch.starts[batch.SequenceOf(row)];
      AddRow(&positions[position * k], k, hidden + row * k);
      AddRow(&types[batch.type_ids[row] * k], k, hidden + row * k);
    }
  });
  AddNorm(context, norm, count, first, nullptr, first, tile.quantized, team);
}

void MobileBertLayer::ProjectQkv(const LayerContext& context, RowRange rows,
                                 Workspace& workspace, const TileScratch& tile,
                                 ThreadTeam& team) const {
  const int hidden_size = context.config.hidden_size;
  const int size = context.config.attention_size();
  const int stride = 3 * size;
  const int count = rows.count();
  const ptrdiff_t begin = rows.begin;
  float* const bottleneck = workspace.bottleneck() + begin * size;
  float* const q = workspace.qkv() + begin * stride;
  float* const k = q + size;
  float* const v = k + size;
  const LinearInput hidden =
      Input(count, workspace.hidden() + begin * hidden_size, hidden_size,
            tile.quantized);
  // The bytes of `hidden` are needed till the end.
  const QuantizedRows bytes = Narrow(tile.quantized_intermediate, size);

  input.Forward(context, hidden, nullptr, bottleneck, bytes, tile, team);
  if (context.config.mobilebert.attends_bottleneck) {
    RunLinears({{query.get(), q, stride},
                {key.get(), k, stride},
                {value.get(), v, stride}},
               Input(count, bottleneck, size, bytes), team);
    return;
  }
  float* const shared = tile.dense;
  attention_input.Forward(context, hidden, nullptr, shared, bytes, tile, team);
  RunLinears({{value.get(), v, stride}}, hidden, team);
  RunLinears({{query.get(), q, stride}, {key.get(), k, stride}},
             Input(count, shared, size, bytes), team);
}

void MobileBertLayer::FeedForward(const LayerContext& context, RowRange rows,
                                  Workspace& workspace, const TileScratch& tile,
                                  ThreadTeam& team) const {
  const int size = context.config.attention_size();
  const int count = rows.count();
  const ptrdiff_t begin = rows.begin;
  float* const hidden = workspace.hidden() + begin * context.config.hidden_size;
  float* const bottleneck = workspace.bottleneck() + begin * size;
  const float* const attended = workspace.context() + begin * size;
  const QuantizedRows bytes = Narrow(tile.quantized, size);

  Quantize(context, count, size, attended, bytes, team);
  attention_output.Forward(context, Input(count, attended, size, bytes),
                           bottleneck, bottleneck, bytes, tile, team);
  for (const FeedForwardNetwork& network : feed_forwards) {
    network.Forward(context, count, size, bottleneck, bytes, tile, team);
  }
  output.Forward(context, Input(count, bottleneck, size, bytes), hidden, hidden,
                 tile.quantized, tile, team);
}

}  // namespace tern

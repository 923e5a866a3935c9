#include "model/workspace.h"

#include <algorithm>

#include "kernels/attention.h"

namespace tern {
namespace {

template <typename T>
void Grow(AlignedBuffer<T>& buffer, size_t size) {
  if (buffer.size() < size) buffer = AlignedBuffer<T>(size);
}

// The most columns that a tile's rows have.
int DenseColumns(const BertConfig& config) {
  return std::max(config.hidden_size, config.attention_size());
}
int IntermediateColumns(const BertConfig& config) {
  return std::max({config.intermediate_size, config.attention_size(),
                   3 * config.mobilebert.word_size});
}

}  // namespace

Workspace::Workspace(int max_tokens, int max_threads)
    : max_tokens_(max_tokens),
      max_threads_(max_threads),
      scales_(max_threads * kTileRows),
      intermediate_scales_(max_threads * kTileRows) {}

void Workspace::Reserve(const BertConfig& config) {
  const size_t tokens = std::max(max_tokens_, config.max_positions);
  const size_t tile_rows = static_cast<size_t>(max_threads_) * kTileRows;
  Grow(hidden_, tokens * config.hidden_size);
  Grow(qkv_, tokens * 3 * config.attention_size());
  Grow(context_, tokens * config.attention_size());
  Grow(bottleneck_, tokens * config.mobilebert.bottleneck_size);
  // A long sequence is alone in its batch.
  const size_t rows =
      config.task == Task::kQuestionAnswering ? tokens : max_tokens_;
  Grow(logits_, rows * config.outputs());
  Grow(dense_, tile_rows * DenseColumns(config));
  Grow(intermediate_, tile_rows * IntermediateColumns(config));
  Grow(quantized_, tile_rows * PaddedDepth(DenseColumns(config)));
  Grow(quantized_intermediate_,
       tile_rows * PaddedDepth(IntermediateColumns(config)));

  const size_t attention_bytes =
      std::max(attention_bytes_,
               (AttentionScratchBytes(config.max_positions, config.head_dim()) +
                kBufferAlignment - 1) /
                   kBufferAlignment * kBufferAlignment);
  Grow(attention_, attention_bytes * max_threads_);
  attention_bytes_ = attention_bytes;
}

TileScratch Workspace::Tile(int first_row, const BertConfig& config) {
  const size_t row = first_row;
  const auto quantized = [row](AlignedBuffer<uint8_t>& values,
                               std::vector<RowScale>& scales, int k,
                               int most_columns) {
    QuantizedRows rows;
    rows.k = k;
    rows.stride = PaddedDepth(k);
    rows.values = values.data() + row * PaddedDepth(most_columns);
    rows.scales = scales.data() + row;
    return rows;
  };
  const int dense = DenseColumns(config);
  const int intermediate = IntermediateColumns(config);
  TileScratch tile;
  tile.dense = dense_.data() + row * dense;
  tile.intermediate = intermediate_.data() + row * intermediate;
  tile.quantized = quantized(quantized_, scales_, config.hidden_size, dense);
  tile.quantized_intermediate =
      quantized(quantized_intermediate_, intermediate_scales_,
                config.intermediate_size, intermediate);
  return tile;
}

uint8_t* Workspace::attention_scratch(int thread) {
  return attention_.data() + thread * attention_bytes_;
}

}  // namespace tern

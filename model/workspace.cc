#include "model/workspace.h"

#include <algorithm>

#include "kernels/attention.h"

namespace tern {
namespace {

template <typename T>
void Grow(AlignedBuffer<T>& buffer, size_t size) {
  if (buffer.size() < size) buffer = AlignedBuffer<T>(size);
}

}  // namespace

Workspace::Workspace(int max_tokens, int max_threads)
    : max_tokens_(max_tokens),
      max_threads_(max_threads),
      scales_(max_threads * kTileRows),
      intermediate_scales_(max_threads * kTileRows) {}

void Workspace::Reserve(const BertConfig& config) {
  const size_t tokens = max_tokens_;
  const size_t tile_rows = static_cast<size_t>(max_threads_) * kTileRows;
  Grow(hidden_, tokens * config.hidden_size);
  Grow(qkv_, tokens * 3 * config.hidden_size);
  Grow(context_, tokens * config.hidden_size);
  Grow(logits_, tokens * config.outputs());
  Grow(dense_, tile_rows * config.hidden_size);
  Grow(intermediate_, tile_rows * config.intermediate_size);
  Grow(quantized_, tile_rows * PaddedDepth(config.hidden_size));
  Grow(quantized_intermediate_,
       tile_rows * PaddedDepth(config.intermediate_size));

  const int longest = std::min(max_tokens_, config.max_positions);
  const size_t attention_bytes =
      (AttentionScratchBytes(longest, config.head_dim()) + kBufferAlignment -
       1) /
      kBufferAlignment * kBufferAlignment;
  attention_bytes_ = std::max(attention_bytes_, attention_bytes);
  Grow(attention_, attention_bytes_ * max_threads_);
}

TileScratch Workspace::Tile(int first_row, const BertConfig& config) {
  const auto quantized = [first_row](AlignedBuffer<uint8_t>& values,
                                     std::vector<RowScale>& scales, int k) {
    QuantizedRows rows;
    rows.k = k;
    rows.stride = PaddedDepth(k);
    rows.values = values.data() + static_cast<size_t>(first_row) * rows.stride;
    rows.scales = scales.data() + first_row;
    return rows;
  };
  const size_t row = first_row;
  TileScratch tile;
  tile.dense = dense_.data() + row * config.hidden_size;
  tile.intermediate = intermediate_.data() + row * config.intermediate_size;
  tile.quantized = quantized(quantized_, scales_, config.hidden_size);
  tile.quantized_intermediate = quantized(
      quantized_intermediate_, intermediate_scales_, config.intermediate_size);
  return tile;
}

uint8_t* Workspace::attention_scratch(int thread) {
  return attention_.data() + thread * attention_bytes_;
}

}  // namespace tern

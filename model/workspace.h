// The memory of one Forward pass, allocated when a worker meets a model.
//
// What lives as long as a layer has a row per token of the batch. What lives
// only while some rows pass through a feed-forward block has a row per tile:
// each thread takes a tile through, so that a batch of thousands of tokens
// still works in the caches.
//
// One thread: one Forward pass at a time.

#ifndef TERN_MODEL_WORKSPACE_H_
#define TERN_MODEL_WORKSPACE_H_

#include <cstdint>
#include <vector>

#include "kernels/aligned_buffer.h"
#include "kernels/quantized_rows.h"
#include "model/config.h"

namespace tern {

// Most rows that one thread takes through the layers at a time. 64 rows of
// BERT-base's widest layer are 0.8 MB, the second-level cache of a server core.
inline constexpr int kTileRows = 64;

// Scratch for rows on their way through a layer. Views the Workspace. There is
// room for other rows, too: of attention_size() columns everywhere, and in the
// intermediate ones for a MobileBERT's three words.
struct TileScratch {
  float* dense = nullptr;                // [rows, hidden]
  float* intermediate = nullptr;         // [rows, intermediate]
  QuantizedRows quantized;               // [rows, hidden]
  QuantizedRows quantized_intermediate;  // [rows, intermediate]
};

class Workspace {
 public:
  // For batches of up to `max_tokens` tokens, or of one sequence of any length
  // that the model takes, on up to `max_threads` threads.
  Workspace(int max_tokens, int max_threads);

  // Makes room for a model. Call it when a worker starts or first meets the
  // model: no pass allocates.
  void Reserve(const BertConfig& config);

  int max_threads() const { return max_threads_; }

  float* hidden() { return hidden_.data(); }    // [tokens, hidden]
  float* qkv() { return qkv_.data(); }          // [tokens, 3 attention]
  float* context() { return context_.data(); }  // [tokens, attention]
  // [tokens, attention]; MobileBERT only
  float* bottleneck() { return bottleneck_.data(); }
  float* logits() { return logits_.data(); }  // [sequences or tokens, outputs]

  // Scratch of the rows from `first_row` on, less than max_threads() *
  // kTileRows in all.
  TileScratch Tile(int first_row, const BertConfig& config);
  uint8_t* attention_scratch(int thread);

 private:
  const int max_tokens_;
  const int max_threads_;
  AlignedBuffer<float> hidden_, qkv_, context_, bottleneck_, logits_;
  AlignedBuffer<float> dense_, intermediate_;
  AlignedBuffer<uint8_t> quantized_, quantized_intermediate_;
  std::vector<RowScale> scales_, intermediate_scales_;
  AlignedBuffer<uint8_t> attention_;
  size_t attention_bytes_ = 0;  // per thread
};

}  // namespace tern

#endif  // TERN_MODEL_WORKSPACE_H_

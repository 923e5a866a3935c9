// The memory of one Forward pass, allocated once when a worker starts.
//
// One thread.

#ifndef TERN_MODEL_WORKSPACE_H_
#define TERN_MODEL_WORKSPACE_H_

#include <vector>

#include "kernels/aligned_buffer.h"
#include "kernels/quantized_rows.h"
#include "model/config.h"

namespace tern {

class Workspace {
 public:
  // For batches of up to `max_tokens` tokens (at least the longest sequence of
  // any model that will use it), on up to `threads` threads.
  Workspace(int max_tokens, int threads);

  // Makes room for `config`'s widths. Call when a worker first meets a model,
  // so that no pass allocates.
  void Reserve(const BertConfig& config);

  int max_tokens() const { return max_tokens_; }

  // What layers.cc works in; [tokens, ...] row-major without padding rows.
  float* hidden() { return hidden_.data(); }    // [tokens, hidden]
  float* qkv() { return qkv_.data(); }          // [tokens, 3 hidden]
  float* context() { return context_.data(); }  // [tokens, hidden]
  float* intermediate() {
    return intermediate_.data();
  }  // [tokens, intermediate]
  float* logits() { return logits_.data(); }
  QuantizedRows QuantizedHidden(int rows, int k);  // inputs of hidden width
  QuantizedRows QuantizedIntermediate(int rows,
                                      int k);  // inputs of the output layer
  uint8_t* AttentionScratch(int thread);

 private:
  int max_tokens_;
  int threads_;
  AlignedBuffer<float> hidden_, qkv_, context_, intermediate_, logits_;
  AlignedBuffer<uint8_t> quantized_hidden_, quantized_intermediate_, attention_;
  std::vector<RowScale> hidden_scales_, intermediate_scales_;
  size_t attention_bytes_ = 0;  // per thread
};

}  // namespace tern

#endif  // TERN_MODEL_WORKSPACE_H_

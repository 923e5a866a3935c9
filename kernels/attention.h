// Self-attention of one head of one sequence; never padded.
//
//   scores[i][j] = q[i] . k[j] / sqrt(head_dim)
//   p[i] = softmax(scores[i])
//   context[i] = sum_j p[i][j] v[j]                 (Vaswani et al. 2017, eq.
//   1)
//
// attention_fp32 does it in float. attention_int8 quantizes q and k per row, p
// per row and v per head (one scale, since it must leave the sum over j), each
// as quantized_rows.h says; both products are exact integer sums.

#ifndef TERN_KERNELS_ATTENTION_H_
#define TERN_KERNELS_ATTENTION_H_

#include <cstddef>
#include <cstdint>

namespace tern {

struct AttentionArgs {
  int length = 0;            // tokens of the sequence
  int head_dim = 0;          // multiple of 1; 32 and 64 are what models have
  const float* q = nullptr;  // [length, head_dim], rows `stride` floats apart
  const float* k = nullptr;
  const float* v = nullptr;
  int stride = 0;
  float* context = nullptr;  // [length, head_dim]
  int context_stride = 0;
  uint8_t* scratch =
      nullptr;  // AttentionScratchBytes(length, head_dim), 64-byte aligned
};

// What any variant needs for one head.
size_t AttentionScratchBytes(int length, int head_dim);

}  // namespace tern

#endif  // TERN_KERNELS_ATTENTION_H_

// Self-attention of one head of one sequence; never padded.
//
//   scores[i][j] = q[i] . k[j] / sqrt(d)
//   p[i] = softmax(scores[i])
//   context[i] = sum_j p[i][j] v[j]           (Vaswani et al. 2017, eq. 1)
//
// AttentionFp32 does it in float, AttentionInt8 with both products in exact
// integer sums of 8-bit values. All variants give the same bits, since every
// float step is taken as follows; u is 1 / sqrt(d), rounded twice.
//
// AttentionFp32:
//   scores[i][j] = u * dot, dot summed by fused multiply-adds over 0 .. d - 1
//   e[i][j] = exp(scores[i][j] - max_j scores[i][j])
//   context[i] = (1 / sum_j e[i][j]) * (sum_j e[i][j] v[j]), the latter sum by
//     fused multiply-adds over j = 0 .. length - 1, the former in the 16 lanes
//     of row_ops.h
//
// AttentionInt8 quantizes as quantized_rows.h says: q and k with an S and a Z
// per row (so per token and head), v with one S and Z for the whole head, since
// its scale must leave the sum over j, and p with one S per row:
//   scores[i][j] = (S_q[i] u) S_k[j] * sum (q8 - Z_q[i]) (k8 - Z_k[j])
//   e as above; the largest is exactly 1, so for p, which is e / sum e,
//   S_p[i] = 1 / (255 sum_j e[i][j]),  Z_p = 0,  p8 = round(255 e[i][j])
//   context[i] = (S_v / (255 sum_j e[i][j])) * sum_j p8[i][j] (v8[j] - Z_v)
// Sums of integers are exact for d and length up to 33,000.

#ifndef TERN_KERNELS_ATTENTION_H_
#define TERN_KERNELS_ATTENTION_H_

#include <cstddef>
#include <cstdint>

namespace tern {

struct AttentionArgs {
  int length = 0;            // tokens of the sequence
  int head_dim = 0;          // d; any, multiples of 16 are quickest
  const float* q = nullptr;  // [length, head_dim], rows `stride` floats apart
  const float* k = nullptr;
  const float* v = nullptr;
  int stride = 0;
  float* context = nullptr;  // [length, head_dim]; aliases no input
  int context_stride = 0;
  uint8_t* scratch =
      nullptr;  // AttentionScratchBytes(length, head_dim), 64-byte aligned
};

// What any variant needs for one head.
size_t AttentionScratchBytes(int length, int head_dim);

}  // namespace tern

#endif  // TERN_KERNELS_ATTENTION_H_

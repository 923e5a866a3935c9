// Linear layers and word embeddings in simulated ternary arithmetic.
//
// Forward gives the bits of the serving engine: activations are quantized by
// the engine's kernel, the product of 8-bit and ternary integers is exact, and
// the float steps after it are the ones that kernels/variant.h fixes. Backward
// is the straight-through estimator: gradients pass the quantizers as if they
// were the identity, so those of W go to the latent fp32 weights (TernaryBERT,
// Zhang et al. 2020, section 3).
//
// One thread calls; the work is shared by libtorch's threads.

#ifndef TERN_TRAIN_FAKE_QUANTIZE_H_
#define TERN_TRAIN_FAKE_QUANTIZE_H_

#include "torch/types.h"

namespace tern {

enum class Ternarizer { kTwn, kLat };  // kernels/ternarize.h

// W = scale * T.
struct TernaryWeights {
  torch::Tensor t;       // [n, k] I8 in {-1, 0, 1}
  torch::Tensor scales;  // [1], or [n] for a scale per row
};

// Ternarizes w [n, k]; `second_moment` [n, k] is Adam's, read by LAT alone.
// Where it is undefined, LAT is TWN.
TernaryWeights Ternarize(Ternarizer ternarizer, bool per_row,
                         const torch::Tensor& w,
                         const torch::Tensor& second_moment);

// Rows of x as the engine sees them: x ~ scales (q - Z).
struct QuantizedInput {
  torch::Tensor x;         // [m, k]; gradients flow here
  torch::Tensor centered;  // [m, k] q - Z in [-255, 255], exact in BF16 too
  torch::Tensor scales;    // [m]
};

// `product_type` is the dtype for MatrixProduct.
QuantizedInput QuantizeInput(const torch::Tensor& x,
                             torch::ScalarType product_type);

// x with its last dimension quantized and dequantized, row by row. No gradient.
torch::Tensor FakeQuantizeRows(const torch::Tensor& x);

// y = x W^T + bias [m, n]; t is T in the dtype of x.centered.
torch::Tensor TernaryLinear(const QuantizedInput& x, const torch::Tensor& w,
                            const torch::Tensor& bias, const torch::Tensor& t,
                            float scale);

// Rows ids [m] of w [vocabulary, k], each ternarized by itself.
torch::Tensor TernaryEmbedding(Ternarizer ternarizer, const torch::Tensor& w,
                               const torch::Tensor& second_moment,
                               const torch::Tensor& ids);

}  // namespace tern

#endif  // TERN_TRAIN_FAKE_QUANTIZE_H_

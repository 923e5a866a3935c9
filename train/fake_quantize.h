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

#include <cstdint>
#include <memory>
#include <vector>

#include "kernels/quantized_rows.h"
#include "kernels/ternary_gemm.h"
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
  // For the serving kernel, where products are in F32:
  torch::Tensor q;                   // [m, PaddedDepth(k)] U8
  std::vector<RowScale> row_scales;  // [m]
};

// A ternary matrix as products take it.
struct TernaryFactor {
  torch::Tensor t;  // [n, k] T in the dtype of products
  float scale = 1;
  // For the serving kernel, where products are in F32: its exact sums of bytes
  // are several times as fast as those of floats.
  std::shared_ptr<const PackedTernary> packed;
};

TernaryFactor MakeTernaryFactor(const TernaryWeights& weights,
                                torch::ScalarType product_type);

// `product_type` is the dtype for MatrixProduct.
QuantizedInput QuantizeInput(const torch::Tensor& x,
                             torch::ScalarType product_type);

// x with its last dimension quantized and dequantized, row by row. No gradient.
torch::Tensor FakeQuantizeRows(const torch::Tensor& x);

// The same of one row x [k], in place and on the calling thread.
void FakeQuantizeRow(float* x, int64_t k);

// y = x W^T + bias [m, n]; `factor` is w, ternarized, for the product type of
// x.
torch::Tensor TernaryLinear(const QuantizedInput& x, const torch::Tensor& w,
                            const torch::Tensor& bias,
                            const TernaryFactor& factor);

// Rows ids [m] of w [vocabulary, k], each ternarized by itself.
torch::Tensor TernaryEmbedding(Ternarizer ternarizer, const torch::Tensor& w,
                               const torch::Tensor& second_moment,
                               const torch::Tensor& ids);

}  // namespace tern

#endif  // TERN_TRAIN_FAKE_QUANTIZE_H_

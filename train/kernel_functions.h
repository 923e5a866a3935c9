// The serving kernels as libtorch functions: forward by the kernel, so that the
// trainer computes the bits that the engine will; backward by libtorch.
//
// One thread calls; rows are shared by libtorch's threads. No row's result
// depends on how.

#ifndef TERN_TRAIN_KERNEL_FUNCTIONS_H_
#define TERN_TRAIN_KERNEL_FUNCTIONS_H_

#include <cstdint>
#include <vector>

#include "ATen/Parallel.h"
#include "kernels/quantized_rows.h"
#include "kernels/row_ops.h"
#include "kernels/variant.h"
#include "torch/types.h"

namespace tern {

// The variant that forward passes use: TERN_FORCE_VARIANT or the best here. All
// give the same bits.
const Variant& TrainingVariant();

// Calls task(begin, end) on pieces of [0, rows), on all threads.
template <typename Task>
void ForRows(int64_t rows, const Task& task) {
  constexpr int64_t kLeastRowsPerTask = 8;
  at::parallel_for(0, rows, kLeastRowsPerTask, task);
}

// Quantizes `rows` rows of k floats and calls use(i, q [k], scale of the row)
// for each, on the calling thread.
template <typename Use>
void QuantizeRows(const float* x, int64_t rows, int64_t k, const Use& use) {
  const int depth = static_cast<int>(k);
  std::vector<uint8_t> bytes(PaddedDepth(depth));
  RowScale scale;
  QuantizeRowsArgs args;
  args.rows = args.out.rows = 1;
  args.k = args.x_stride = args.out.k = depth;
  args.out.stride = PaddedDepth(depth);
  args.out.values = bytes.data();
  args.out.scales = &scale;
  for (int64_t i = 0; i < rows; ++i) {
    args.x = x + i * k;
    TrainingVariant().quantize_rows(args);
    use(i, bytes.data(), scale);
  }
}

// The same for the rows of x [m, k], contiguous, on all threads.
template <typename Use>
void QuantizeEachRow(const torch::Tensor& x, const Use& use) {
  const int64_t k = x.size(1);
  const float* const data = x.data_ptr<float>();
  ForRows(x.size(0), [&](int64_t begin, int64_t end) {
    QuantizeRows(data + begin * k, end - begin, k,
                 [&](int64_t i, const uint8_t* q, RowScale scale) {
                   use(begin + i, q, scale);
                 });
  });
}

// y = LayerNorm(x + residual) of rows [m, k]; `residual` may be undefined.
torch::Tensor AddLayerNorm(const torch::Tensor& x,
                           const torch::Tensor& residual,
                           const torch::Tensor& gamma,
                           const torch::Tensor& beta, float epsilon);

// y = activation(x) of rows [m, k].
torch::Tensor Activate(const torch::Tensor& x, Activation activation);

}  // namespace tern

#endif  // TERN_TRAIN_KERNEL_FUNCTIONS_H_

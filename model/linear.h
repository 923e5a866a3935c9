// A Linear layer in one of the three precisions.
//
// y = x W^T + b. Which of fp32, int8 and ternary runs is decided once, when the
// weights are read; everything above calls the same interface.
//
// Thread-safe: constant after construction.

#ifndef TERN_MODEL_LINEAR_H_
#define TERN_MODEL_LINEAR_H_

#include <memory>
#include <vector>

#include "absl/types/span.h"
#include "kernels/quantized_rows.h"
#include "kernels/ternary_gemm.h"
#include "kernels/variant.h"
#include "model/thread_team.h"

namespace tern {

// The rows that go into a Linear: floats and, if it is quantized, bytes.
struct LinearInput {
  int rows = 0;
  const float* x = nullptr;  // [rows, k], rows `x_stride` floats apart
  int x_stride = 0;
  QuantizedRows quantized;
};

class Linear {
 public:
  virtual ~Linear() = default;

  // Whether it reads LinearInput::quantized (int8, ternary) or x (fp32).
  virtual bool quantized() const = 0;

  // Columns of y come in blocks, the unit that threads share. Computes blocks
  // [first_block, last_block) of y [rows, n], rows `y_stride` floats apart.
  virtual int blocks() const = 0;
  virtual void Run(const LinearInput& input, int first_block, int last_block,
                   float* y, int y_stride) const = 0;
};

// `w` is [n, k] row-major, `bias` [n].
std::unique_ptr<Linear> MakeFp32Linear(int n, int k,
                                       const std::vector<float>& w,
                                       const std::vector<float>& bias);
std::unique_ptr<Linear> MakeInt8Linear(int n, int k,
                                       const std::vector<float>& w,
                                       const std::vector<float>& bias);
std::unique_ptr<Linear> MakeTernaryLinear(const Variant& variant,
                                          const TernaryMatrix& w,
                                          std::vector<float> bias);

// One product of several that read the same input (query, key and value).
struct LinearJob {
  const Linear* linear = nullptr;
  float* y = nullptr;
  int y_stride = 0;
};

// Runs all jobs, their columns shared among the team.
void RunLinears(absl::Span<const LinearJob> jobs, const LinearInput& input,
                ThreadTeam& team);

}  // namespace tern

#endif  // TERN_MODEL_LINEAR_H_

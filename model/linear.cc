#include "model/linear.h"

#include <algorithm>
#include <utility>

#include "kernels/dense_gemm.h"

namespace tern {
namespace {

// More tasks than threads, so that a thread that the operating system holds up
// does not hold up the others.
constexpr int kTasksPerThread = 2;

// Into how many tasks a product of so many blocks is cut: equal ones, lest
// threads wait for the last.
int PiecesOf(int blocks, int threads) {
  int pieces = std::min(blocks, threads * kTasksPerThread);
  while (blocks % pieces != 0) ++pieces;
  return pieces;
}

class Fp32Linear : public Linear {
 public:
  Fp32Linear(int n, int k, const float* w, const float* bias)
      : gemm_(n, k, w, bias) {}

  bool quantized() const override { return false; }
  int blocks() const override { return gemm_.panels(); }
  void Run(const LinearInput& input, int first_block, int last_block, float* y,
           int y_stride) const override {
    for (int block = first_block; block < last_block; ++block) {
      gemm_.Run(block, input.rows, input.x, input.x_stride, y, y_stride);
    }
  }

 private:
  const DenseGemmFp32 gemm_;
};

class Int8Linear : public Linear {
 public:
  Int8Linear(int n, int k, const float* w, const float* bias)
      : gemm_(n, k, w, bias) {}

  bool quantized() const override { return true; }
  int blocks() const override { return gemm_.panels(); }
  void Run(const LinearInput& input, int first_block, int last_block, float* y,
           int y_stride) const override {
    for (int block = first_block; block < last_block; ++block) {
      gemm_.Run(block, input.quantized, y, y_stride);
    }
  }

 private:
  const DenseGemmInt8 gemm_;
};

class TernaryLinear : public Linear {
 public:
  TernaryLinear(const Variant& variant, const TernaryMatrix& w,
                std::vector<float> bias)
      : variant_(variant),
        weights_(variant.pack_ternary(w)),
        bias_(std::move(bias)) {}

  bool quantized() const override { return true; }
  int blocks() const override {
    return (weights_.n + kTernaryColumnBlock - 1) / kTernaryColumnBlock;
  }
  void Run(const LinearInput& input, int first_block, int last_block, float* y,
           int y_stride) const override {
    TernaryGemmArgs args;
    args.x = input.quantized;
    args.w = &weights_;
    args.bias = bias_.data();
    args.y = y;
    args.y_stride = y_stride;
    args.first_column = first_block * kTernaryColumnBlock;
    args.last_column = std::min(last_block * kTernaryColumnBlock, weights_.n);
    variant_.ternary_gemm(args);
  }

 private:
  const Variant& variant_;
  const PackedTernary weights_;
  const std::vector<float> bias_;
};

}  // namespace

std::unique_ptr<Linear> MakeFp32Linear(int n, int k,
                                       const std::vector<float>& w,
                                       const std::vector<float>& bias) {
  return std::make_unique<Fp32Linear>(n, k, w.data(), bias.data());
}

std::unique_ptr<Linear> MakeInt8Linear(int n, int k,
                                       const std::vector<float>& w,
                                       const std::vector<float>& bias) {
  return std::make_unique<Int8Linear>(n, k, w.data(), bias.data());
}

std::unique_ptr<Linear> MakeTernaryLinear(const Variant& variant,
                                          const TernaryMatrix& w,
                                          std::vector<float> bias) {
  return std::make_unique<TernaryLinear>(variant, w, std::move(bias));
}

void RunLinears(absl::Span<const LinearJob> jobs, const LinearInput& input,
                ThreadTeam& team) {
  if (team.threads() == 1) {
    for (const LinearJob& job : jobs) {
      job.linear->Run(input, 0, job.linear->blocks(), job.y, job.y_stride);
    }
    return;
  }
  int most_blocks = 0;
  for (const LinearJob& job : jobs) {
    most_blocks = std::max(most_blocks, job.linear->blocks());
  }
  const int pieces = PiecesOf(most_blocks, team.threads());
  team.For(pieces * static_cast<int>(jobs.size()), [&](int task, int) {
    const LinearJob& job = jobs[task / pieces];
    const int piece = task % pieces;
    const int blocks = job.linear->blocks();
    job.linear->Run(input, blocks * piece / pieces,
                    blocks * (piece + 1) / pieces, job.y, job.y_stride);
  });
}

}  // namespace tern

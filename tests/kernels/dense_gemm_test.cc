// CMake also registers this binary under DNNL_MAX_CPU_ISA, so that the oneDNN
// kernels of lesser CPUs are tested here too.
#include "kernels/dense_gemm.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace tern {
namespace {

constexpr double kEpsilon = std::numeric_limits<float>::epsilon() / 2;

struct Shape {
  int n, k;
};
// Full panels, a ragged last panel, depths that are no multiple of anything.
constexpr Shape kShapes[] = {{384, 384}, {192, 768}, {200, 100}, {65, 33},
                             {2, 384},   {1, 1},     {193, 1536}};

std::vector<float> RandomFloats(size_t size, std::mt19937& random) {
  std::normal_distribution<float> normal;
  std::vector<float> values(size);
  for (float& v : values) v = normal(random);
  return values;
}

template <typename Gemm, typename... X>
void RunAllPanels(const Gemm& gemm, X... args) {
  for (int panel = 0; panel < gemm.panels(); ++panel) gemm.Run(panel, args...);
}

class Fp32Rows {
 public:
  Fp32Rows(Shape shape, int rows, int x_padding = 0)
      : n(shape.n),
        k(shape.k),
        x_stride(k + x_padding),
        x(RandomFloats(static_cast<size_t>(rows) * x_stride, random_)),
        w(RandomFloats(static_cast<size_t>(n) * k, random_)),
        bias(RandomFloats(n, random_)),
        gemm(n, k, w.data(), bias.data()) {}

  // Rows [first, first + rows).
  std::vector<float> Run(int first, int rows) const {
    std::vector<float> y(static_cast<size_t>(rows) * n, NAN);
    RunAllPanels(gemm, rows, x.data() + static_cast<size_t>(first) * x_stride,
                 x_stride, y.data(), n);
    return y;
  }

 private:
  std::mt19937 random_{5};

 public:
  int n, k, x_stride;
  std::vector<float> x, w, bias;
  DenseGemmFp32 gemm;
};

TEST(DenseGemmFp32Test, IsNearTheProductInDouble) {
  for (const Shape shape : kShapes) {
    const int rows = 50;
    const Fp32Rows product(shape, rows, /*x_padding=*/5);
    const std::vector<float> y = product.Run(0, rows);
    for (int i = 0; i < rows; ++i) {
      for (int j = 0; j < shape.n; ++j) {
        double exact = product.bias[j], magnitude = std::fabs(exact);
        for (int p = 0; p < shape.k; ++p) {
          const double term =
              static_cast<double>(product.x[i * product.x_stride + p]) *
              product.w[j * shape.k + p];
          exact += term;
          magnitude += std::fabs(term);
        }
        // Any order of k products and k + 1 additions: Higham's gamma.
        const double bound = 1.01 * (shape.k + 2) * kEpsilon * magnitude;
        ASSERT_NEAR(y[i * shape.n + j], exact, bound)
            << shape.n << " x " << shape.k << " at " << i << ", " << j;
      }
    }
  }
}

TEST(DenseGemmFp32Test, RowHasTheSameBitsAmongAnyNumberOfRows) {
  constexpr int kMostRows = 130;
  for (const Shape shape : kShapes) {
    const Fp32Rows product(shape, kMostRows);
    const std::vector<float> all = product.Run(0, kMostRows);
    for (int rows = 1; rows < kMostRows; ++rows) {
      const std::vector<float> some = product.Run(0, rows);
      ASSERT_EQ(
          std::memcmp(some.data(), all.data(), some.size() * sizeof(float)), 0)
          << shape.n << " x " << shape.k << ", " << rows << " rows";
    }
  }
}

TEST(DenseGemmFp32Test, RowHasTheSameBitsAtAnyPlace) {
  constexpr int kMostRows = 130;
  for (const Shape shape : kShapes) {
    const Fp32Rows product(shape, kMostRows);
    const std::vector<float> all = product.Run(0, kMostRows);
    for (int row = 0; row < kMostRows; ++row) {
      const std::vector<float> alone = product.Run(row, 1);
      ASSERT_EQ(std::memcmp(alone.data(), all.data() + row * shape.n,
                            alone.size() * sizeof(float)),
                0)
          << shape.n << " x " << shape.k << ", row " << row;
    }
  }
}

// Reads "Threads:" of /proc/self/status.
int ThreadsOfThisProcess() {
  std::ifstream status("/proc/self/status");
  std::string word;
  int threads = -1;
  while (status >> word) {
    if (word == "Threads:") status >> threads;
  }
  return threads;
}

TEST(DenseGemmFp32Test, CallsFromManyThreadsAgreeAndStartNoThreads) {
  constexpr int kRows = 60, kThreads = 4;
  const int threads_before =
      ThreadsOfThisProcess();  // a sanitizer may have one
  const Fp32Rows product({400, 300}, kRows);
  const std::vector<float> expected = product.Run(0, kRows);
  EXPECT_EQ(ThreadsOfThisProcess(), threads_before);
  std::vector<std::vector<float>> results(kThreads);
  std::vector<int> threads_seen(kThreads);
  {
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        for (int repeat = 0; repeat < 20; ++repeat) {
          results[t] = product.Run(0, kRows);
          threads_seen[t] = std::max(threads_seen[t], ThreadsOfThisProcess());
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  for (int t = 0; t < kThreads; ++t) {
    EXPECT_EQ(results[t], expected);
    EXPECT_LE(threads_seen[t], threads_before + kThreads);
  }
}

// Activations of one stride with everything at the extremes or random.
struct Int8Rows {
  Int8Rows(Shape shape, int rows, bool extreme, int padding = 0) {
    std::mt19937 random(6);
    w = RandomFloats(static_cast<size_t>(shape.n) * shape.k, random);
    if (extreme) {
      for (float& v : w) v = v < 0 ? -1.0f : 1.0f;
    }
    bias = RandomFloats(shape.n, random);
    x.rows = rows;
    x.k = shape.k;
    x.stride = PaddedDepth(shape.k) + padding;
    values.resize(static_cast<size_t>(rows) * x.stride);
    scales.resize(rows);
    for (int i = 0; i < rows; ++i) {
      scales[i] = {.scale = 0.01f * (1 + random() % 100),
                   .zero_point = static_cast<int>(random() % 256)};
      for (int p = 0; p < shape.k; ++p) {
        values[static_cast<size_t>(i) * x.stride + p] =
            extreme ? 255 : random() % 256;
      }
    }
    x.values = values.data();
    x.scales = scales.data();
  }

  QuantizedRows First(int rows) const {
    QuantizedRows some = x;
    some.rows = rows;
    return some;
  }

  std::vector<float> w, bias;
  std::vector<uint8_t> values;
  std::vector<RowScale> scales;
  QuantizedRows x;
};

// Where pairs saturated int16, sums would be off by thousands of steps.
TEST(DenseGemmInt8Test, IsNearTheProductInDouble) {
  for (const bool extreme : {false, true}) {
    for (const Shape shape : kShapes) {
      const int rows = 70;
      const Int8Rows rows_in(shape, rows, extreme, /*padding=*/64);
      const DenseGemmInt8 gemm(shape.n, shape.k, rows_in.w.data(),
                               rows_in.bias.data());
      std::vector<float> y(static_cast<size_t>(rows) * shape.n, NAN);
      RunAllPanels(gemm, rows_in.x, y.data(), shape.n);
      for (int i = 0; i < rows; ++i) {
        const RowScale row = rows_in.scales[i];
        for (int j = 0; j < shape.n; ++j) {
          double most = 0, exact = rows_in.bias[j], magnitude = 0;
          for (int p = 0; p < shape.k; ++p) {
            const double weight = rows_in.w[j * shape.k + p];
            const double value =
                row.scale *
                (rows_in.values[static_cast<size_t>(i) * rows_in.x.stride + p] -
                 row.zero_point);
            most = std::max(most, std::fabs(weight));
            exact += value * weight;
            magnitude += std::fabs(value);
          }
          // Each weight is off by half a step of most / 63 at worst, and the
          // float steps by less than a millionth of the largest sum.
          const double bound = magnitude * most * (0.5 / 63 + 1e-6) + 1e-5;
          ASSERT_NEAR(y[i * shape.n + j], exact, bound)
              << shape.n << " x " << shape.k << " at " << i << ", " << j;
          if (extreme) {
            // Weights of +-1 are exact.
            ASSERT_NEAR(y[i * shape.n + j], exact, magnitude * 1e-6 + 1e-5);
          }
        }
      }
    }
  }
}

TEST(DenseGemmInt8Test, RowHasTheSameBitsAmongAnyNumberOfRows) {
  constexpr int kMostRows = 130;
  for (const Shape shape : kShapes) {
    const Int8Rows rows_in(shape, kMostRows, /*extreme=*/false);
    const DenseGemmInt8 gemm(shape.n, shape.k, rows_in.w.data(),
                             rows_in.bias.data());
    std::vector<float> all(static_cast<size_t>(kMostRows) * shape.n);
    RunAllPanels(gemm, rows_in.x, all.data(), shape.n);
    for (int rows = 1; rows < kMostRows; ++rows) {
      std::vector<float> some(static_cast<size_t>(rows) * shape.n);
      RunAllPanels(gemm, rows_in.First(rows), some.data(), shape.n);
      ASSERT_EQ(
          std::memcmp(some.data(), all.data(), some.size() * sizeof(float)), 0)
          << shape.n << " x " << shape.k << ", " << rows << " rows";
    }
  }
}

}  // namespace
}  // namespace tern

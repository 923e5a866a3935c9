// The ternary product of every variant beside oneDNN's int8 and fp32 ones and
// beside the register peak of this CPU, measured in the same run.
//
//   tern-bench-kernels --benchmark_filter='n:768/k:768/m:(1|128)$'
//
// Shapes are those of BERT-base and MiniLM; weights rotate over 12 layers, so
// that caches hold what they hold in a model. MAC/s counts multiply-adds,
// of_maddubs and its like compare it with the peaks taken around the timed loop
// (1 is the most that summing in registers can do). Each case first
// compares its answer with the scalar variant's.

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "bench/register_peak.h"
#include "benchmark/benchmark.h"
#include "kernels/dense_gemm.h"
#include "kernels/variant.h"

namespace tern {
namespace {

constexpr int kLayers = 12;

// The better of what is measured around a timed loop.
class Peaks {
 public:
  void Measure() {
    maddubs_ = std::max(maddubs_, MaddubsPeak());
    dpbusd_ = std::max(dpbusd_, DpbusdPeak());
    tdpbusd_ = std::max(tdpbusd_, TdpbusdPeak());
  }

  void Compare(double macs_per_second, benchmark::UserCounters& counters) {
    for (const auto& [name, peak] :
         {std::pair("of_maddubs", maddubs_), std::pair("of_dpbusd", dpbusd_),
          std::pair("of_tdpbusd", tdpbusd_)}) {
      if (peak > 0) counters[name] = macs_per_second / peak;
    }
  }

 private:
  double maddubs_ = 0;
  double dpbusd_ = 0;
  double tdpbusd_ = 0;
};

struct Shape {
  int n, k, m;
};

// Inputs and weights of one shape; kLayers equal matrices, each in its place.
struct Problem {
  explicit Problem(Shape shape) : shape(shape) {
    std::mt19937 random(1);
    std::vector<uint8_t> layer(static_cast<size_t>(shape.n) *
                               ((shape.k + 3) / 4));
    for (uint8_t& byte : layer) {
      for (int i = 0; i < 4; ++i) byte |= random() % 3 << 2 * i;
    }
    codes.assign(kLayers, layer);
    const int stride = PaddedDepth(shape.k);
    values = AlignedBuffer<uint8_t>(static_cast<size_t>(shape.m) * stride);
    scales.resize(shape.m);
    for (int i = 0; i < shape.m; ++i) {
      scales[i] = {.scale = 0.01f,
                   .zero_point = static_cast<int>(random() % 256)};
      for (int p = 0; p < shape.k; ++p) values[i * stride + p] = random();
    }
    x = {.rows = shape.m,
         .k = shape.k,
         .stride = stride,
         .values = values.data(),
         .scales = scales.data()};
    bias.assign(shape.n, 0.5f);
    y.resize(static_cast<size_t>(shape.m) * shape.n);
  }

  TernaryMatrix Weights(int layer) const {
    return {
        .n = shape.n, .k = shape.k, .codes = codes[layer].data(), .scale = 1};
  }

  std::vector<float> DenseWeights(int layer) const {
    std::vector<float> w(static_cast<size_t>(shape.n) * shape.k);
    const size_t row_bytes = (shape.k + 3) / 4;
    for (int j = 0; j < shape.n; ++j) {
      for (int p = 0; p < shape.k; ++p) {
        w[static_cast<size_t>(j) * shape.k + p] =
            (codes[layer][j * row_bytes + p / 4] >> (p % 4 * 2) & 3) - 1.0f;
      }
    }
    return w;
  }

  // Largest difference between a row of y and the scalar variant's answer for
  // layer 0, over the first and last row, relative to the largest value.
  double Difference() const {
    const Variant& scalar = *AllVariants().back();
    const PackedTernary packed = scalar.pack_ternary(Weights(0));
    std::vector<float> expected(shape.n);
    double difference = 0, largest = 0;
    for (const int row : {0, shape.m - 1}) {
      QuantizedRows one = x;
      one.rows = 1;
      one.values += static_cast<size_t>(row) * x.stride;
      one.scales += row;
      scalar.ternary_gemm({.x = one,
                           .w = &packed,
                           .bias = bias.data(),
                           .y = expected.data(),
                           .y_stride = shape.n,
                           .last_column = shape.n});
      for (int j = 0; j < shape.n; ++j) {
        const float actual = y[static_cast<size_t>(row) * shape.n + j];
        difference =
            std::max<double>(difference, std::fabs(actual - expected[j]));
        largest = std::max<double>(largest, std::fabs(expected[j]));
      }
    }
    return difference / largest;
  }

  Shape shape;
  std::vector<std::vector<uint8_t>> codes;
  AlignedBuffer<uint8_t> values;
  std::vector<RowScale> scales;
  QuantizedRows x;
  std::vector<float> bias;
  std::vector<float> y;
};

// Times run(layer) for layers in turn. `weight_bytes` is what a layer's weights
// take in memory.
template <typename Run>
void Measure(benchmark::State& state, Problem& problem, double tolerance,
             double weight_bytes, Run run) {
  const Shape shape = problem.shape;
  run(0);
  const double difference = problem.Difference();
  if (!(difference <= tolerance)) {
    state.SkipWithError(
        ("differs from scalar by " + std::to_string(difference)).c_str());
    return;
  }
  Peaks peaks;
  peaks.Measure();
  int layer = 0;
  const double start = ThreadCpuSeconds();
  for (auto _ : state) {
    run(layer);
    layer = (layer + 1) % kLayers;
  }
  const double seconds = (ThreadCpuSeconds() - start) / state.iterations();
  peaks.Measure();

  const double macs = static_cast<double>(shape.m) * shape.n * shape.k;
  using benchmark::Counter;
  state.counters["MAC/s"] =
      Counter(macs, Counter::kIsIterationInvariantRate, Counter::kIs1000);
  peaks.Compare(macs / seconds, state.counters);
  state.SetBytesProcessed(
      state.iterations() *
      static_cast<int64_t>(weight_bytes + shape.m * (shape.k + 4.0 * shape.n)));
}

void Ternary(benchmark::State& state, const Variant* variant, Shape shape) {
  Problem problem(shape);
  std::vector<PackedTernary> layers;
  for (int layer = 0; layer < kLayers; ++layer) {
    layers.push_back(variant->pack_ternary(problem.Weights(layer)));
  }
  Measure(state, problem, /*tolerance=*/0, layers[0].codes.size(),
          [&](int layer) {
            variant->ternary_gemm({.x = problem.x,
                                   .w = &layers[layer],
                                   .bias = problem.bias.data(),
                                   .y = problem.y.data(),
                                   .y_stride = shape.n,
                                   .last_column = shape.n});
          });
}

// Weights of -1, 0, 1 are exact in int8 and fp32; only float steps round.
constexpr double kDenseTolerance = 1e-5;

void OneDnnInt8(benchmark::State& state, Shape shape) {
  Problem problem(shape);
  std::vector<std::unique_ptr<DenseGemmInt8>> layers;
  for (int layer = 0; layer < kLayers; ++layer) {
    layers.push_back(std::make_unique<DenseGemmInt8>(
        shape.n, shape.k, problem.DenseWeights(layer).data(),
        problem.bias.data()));
  }
  Measure(state, problem, kDenseTolerance, 1.0 * shape.n * shape.k,
          [&](int layer) {
            for (int panel = 0; panel < layers[layer]->panels(); ++panel) {
              layers[layer]->Run(panel, problem.x, problem.y.data(), shape.n);
            }
          });
}

void OneDnnFp32(benchmark::State& state, Shape shape) {
  Problem problem(shape);
  std::vector<float> x(static_cast<size_t>(shape.m) * shape.k);
  for (int i = 0; i < shape.m; ++i) {
    const RowScale row = problem.scales[i];
    for (int p = 0; p < shape.k; ++p) {
      x[static_cast<size_t>(i) * shape.k + p] =
          row.scale *
          (problem.values[i * problem.x.stride + p] - row.zero_point);
    }
  }
  std::vector<std::unique_ptr<DenseGemmFp32>> layers;
  for (int layer = 0; layer < kLayers; ++layer) {
    layers.push_back(std::make_unique<DenseGemmFp32>(
        shape.n, shape.k, problem.DenseWeights(layer).data(),
        problem.bias.data()));
  }
  Measure(state, problem, kDenseTolerance, 4.0 * shape.n * shape.k,
          [&](int layer) {
            for (int panel = 0; panel < layers[layer]->panels(); ++panel) {
              layers[layer]->Run(panel, shape.m, x.data(), shape.k,
                                 problem.y.data(), shape.n);
            }
          });
}

void RegisterAll() {
  for (const auto& [n, k] :
       {std::pair(768, 768), std::pair(3072, 768), std::pair(768, 3072),
        std::pair(384, 384), std::pair(1536, 384), std::pair(384, 1536),
        std::pair(1000, 300)}) {
    for (const int m : {1, 2, 4, 8, 16, 32, 64, 128, 512}) {
      const Shape shape = {n, k, m};
      const std::string name = "/n:" + std::to_string(n) +
                               "/k:" + std::to_string(k) +
                               "/m:" + std::to_string(m);
      for (const Variant* variant : AllVariants()) {
        if (!variant->supported()) continue;
        benchmark::RegisterBenchmark(
            ("ternary_" + std::string(variant->name) + name).c_str(), Ternary,
            variant, shape);
      }
      benchmark::RegisterBenchmark(("onednn_int8" + name).c_str(), OneDnnInt8,
                                   shape);
      benchmark::RegisterBenchmark(("onednn_fp32" + name).c_str(), OneDnnFp32,
                                   shape);
    }
  }
}

}  // namespace
}  // namespace tern

int main(int argc, char** argv) {
  tern::RegisterAll();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
}

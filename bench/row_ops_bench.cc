// Row operations and attention of every variant, at the sizes of BERT-base and
// MiniLM; part of tern-bench-kernels.
//
//   tern-bench-kernels --benchmark_filter='attention|gelu|norm|quantize'
//
// B/s counts the floats read and written, of_memcpy compares the time with that
// of a memcpy of the same floats, taken around the timed loop (1 is as quick).
// For attention, MAC/s counts the multiply-adds of all heads' two products.
// Each case first checks that its answer has the bits of the scalar variant's.

#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "bench/register_peak.h"
#include "benchmark/benchmark.h"
#include "kernels/aligned_buffer.h"
#include "kernels/variant.h"

namespace tern {
namespace {

std::vector<float> NormalFloats(size_t size, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> x(size);
  for (float& value : x) value = normal(random);
  return x;
}

// What row operations read and write, for `rows` rows of k.
struct Rows {
  Rows(int rows, int k)
      : rows(rows),
        k(k),
        input(NormalFloats(static_cast<size_t>(rows) * k, 1)),
        residual(NormalFloats(input.size(), 2)),
        gamma(NormalFloats(k, 3)),
        beta(NormalFloats(k, 4)),
        output(input.size()),
        values(static_cast<size_t>(rows) * PaddedDepth(k)),
        scales(rows) {}

  QuantizedRows quantized() {
    return {.rows = rows,
            .k = k,
            .stride = PaddedDepth(k),
            .values = values.data(),
            .scales = scales.data()};
  }

  int rows;
  int k;
  std::vector<float> input, residual, gamma, beta, output;
  AlignedBuffer<uint8_t> values;
  std::vector<RowScale> scales;
};

using RowOperation = void (*)(const Variant& variant, Rows& rows);

void QuantizeRows(const Variant& variant, Rows& rows) {
  variant.quantize_rows({.rows = rows.rows,
                         .k = rows.k,
                         .x = rows.input.data(),
                         .x_stride = rows.k,
                         .out = rows.quantized()});
}

void AddLayerNorm(const Variant& variant, Rows& rows) {
  variant.add_layer_norm({.rows = rows.rows,
                          .k = rows.k,
                          .x = rows.input.data(),
                          .x_stride = rows.k,
                          .residual = rows.residual.data(),
                          .residual_stride = rows.k,
                          .gamma = rows.gamma.data(),
                          .beta = rows.beta.data(),
                          .y = rows.output.data(),
                          .y_stride = rows.k,
                          .out = rows.quantized()});
}

// In place, on what is already activated after the first iteration; no step's
// time depends on values.
void Gelu(const Variant& variant, Rows& rows) {
  variant.activate({.activation = Activation::kGelu,
                    .rows = rows.rows,
                    .k = rows.k,
                    .x = rows.output.data(),
                    .x_stride = rows.k,
                    .out = rows.quantized()});
}

bool SameAsScalar(const Variant& variant, const Rows& rows,
                  RowOperation operation) {
  Rows actual(rows.rows, rows.k), expected(rows.rows, rows.k);
  actual.output = expected.output = rows.input;
  operation(variant, actual);
  operation(*AllVariants().back(), expected);
  return std::memcmp(actual.output.data(), expected.output.data(),
                     actual.output.size() * sizeof(float)) == 0 &&
         std::memcmp(actual.values.data(), expected.values.data(),
                     actual.values.size()) == 0;
}

double MemcpySeconds(Rows& rows) {
  constexpr int kTimes = 20;
  std::vector<float> target(rows.input.size());
  const double start = ThreadCpuSeconds();
  for (int i = 0; i < kTimes; ++i) {
    std::memcpy(target.data(), rows.input.data(),
                target.size() * sizeof(float));
    benchmark::DoNotOptimize(target.data());
    benchmark::ClobberMemory();
  }
  return (ThreadCpuSeconds() - start) / kTimes;
}

void BenchRows(benchmark::State& state, const Variant* variant, int count,
               int k, RowOperation operation, int floats_per_value) {
  Rows rows(count, k);
  rows.output = rows.input;
  if (!SameAsScalar(*variant, rows, operation)) {
    state.SkipWithError("differs from scalar");
    return;
  }
  double memcpy_seconds = MemcpySeconds(rows);
  const double start = ThreadCpuSeconds();
  for (auto _ : state) operation(*variant, rows);
  const double seconds = (ThreadCpuSeconds() - start) / state.iterations();
  memcpy_seconds = (memcpy_seconds + MemcpySeconds(rows)) / 2;
  state.counters["of_memcpy"] = memcpy_seconds / seconds;
  state.SetBytesProcessed(
      static_cast<int64_t>(state.iterations() * rows.input.size() *
                           sizeof(float) * floats_per_value));
}

struct AttentionShape {
  int length;
  int heads;
  int head_dim;
};

void BenchAttention(benchmark::State& state, const Variant* variant,
                    AttentionShape shape, bool int8) {
  const int hidden = shape.heads * shape.head_dim;
  const std::vector<float> qkv =
      NormalFloats(static_cast<size_t>(shape.length) * 3 * hidden, 5);
  std::vector<float> context(static_cast<size_t>(shape.length) * hidden);
  AlignedBuffer<uint8_t> scratch(
      AttentionScratchBytes(shape.length, shape.head_dim));
  const auto run = [&](const Variant& by) {
    const auto attention = int8 ? by.attention_int8 : by.attention_fp32;
    for (int head = 0; head < shape.heads; ++head) {
      const float* const q = qkv.data() + head * shape.head_dim;
      attention({.length = shape.length,
                 .head_dim = shape.head_dim,
                 .q = q,
                 .k = q + hidden,
                 .v = q + 2 * hidden,
                 .stride = 3 * hidden,
                 .context = context.data() + head * shape.head_dim,
                 .context_stride = hidden,
                 .scratch = scratch.data()});
    }
  };
  run(*AllVariants().back());
  const std::vector<float> expected = context;
  run(*variant);
  if (std::memcmp(context.data(), expected.data(),
                  context.size() * sizeof(float)) != 0) {
    state.SkipWithError("differs from scalar");
    return;
  }
  for (auto _ : state) run(*variant);
  state.counters["MAC/s"] =
      benchmark::Counter(2.0 * shape.length * shape.length * hidden,
                         benchmark::Counter::kIsIterationInvariantRate,
                         benchmark::Counter::kIs1000);
}

void RegisterRows(const Variant* variant, const std::string& name, int k,
                  RowOperation operation, int floats_per_value) {
  constexpr int kRows = 128;
  benchmark::RegisterBenchmark(
      (name + "_" + variant->name + "/k:" + std::to_string(k) +
       "/m:" + std::to_string(kRows))
          .c_str(),
      BenchRows, variant, kRows, k, operation, floats_per_value);
}

bool RegisterAll() {
  for (const Variant* variant : AllVariants()) {
    if (!variant->supported()) continue;
    for (const int hidden : {384, 768}) {
      RegisterRows(variant, "quantize_rows", hidden, QuantizeRows, 1);
      RegisterRows(variant, "add_layer_norm", hidden, AddLayerNorm, 3);
      RegisterRows(variant, "gelu", 4 * hidden, Gelu, 2);
    }
    for (const AttentionShape shape :
         {AttentionShape{32, 12, 64}, AttentionShape{128, 12, 64},
          AttentionShape{384, 12, 64}, AttentionShape{128, 12, 32}}) {
      for (const bool int8 : {true, false}) {
        const std::string name =
            std::string(int8 ? "attention_int8_" : "attention_fp32_") +
            variant->name + "/length:" + std::to_string(shape.length) +
            "/heads:" + std::to_string(shape.heads) +
            "/head_dim:" + std::to_string(shape.head_dim);
        benchmark::RegisterBenchmark(name.c_str(), BenchAttention, variant,
                                     shape, int8);
      }
    }
  }
  return true;
}

// main() is in ternary_gemm_bench.cc.
const bool kRegistered = RegisterAll();

}  // namespace
}  // namespace tern

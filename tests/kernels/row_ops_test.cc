#include "kernels/row_ops.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <random>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernels/variant.h"
#include "tests/kernels/variants_under_test.h"

namespace tern {
namespace {

using ::testing::Each;

constexpr uint8_t kUntouched = 0xee;

// A matrix of floats whose last value ends where a page ends that must not be
// read past, and whose first is not aligned unless `columns` makes it so.
class GuardedMatrix {
 public:
  GuardedMatrix(int rows, int columns)
      : rows_(rows), columns_(columns), page_bytes_(sysconf(_SC_PAGESIZE)) {
    const size_t bytes = sizeof(float) * rows * columns;
    mapped_bytes_ = (bytes / page_bytes_ + 2) * page_bytes_;
    void* const mapping = mmap(nullptr, mapped_bytes_, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    EXPECT_NE(mapping, MAP_FAILED);
    mapping_ = static_cast<char*>(mapping);
    char* const end = mapping_ + mapped_bytes_ - page_bytes_;
    EXPECT_EQ(mprotect(end, page_bytes_, PROT_NONE), 0);
    data_ = reinterpret_cast<float*>(end - bytes);
  }
  GuardedMatrix(const GuardedMatrix&) = delete;
  ~GuardedMatrix() { munmap(mapping_, mapped_bytes_); }

  float* row(int i) { return data_ + static_cast<int64_t>(i) * columns_; }
  float* data() { return data_; }
  int rows() const { return rows_; }
  int columns() const { return columns_; }

  void Fill(const std::function<float(int row, int column)>& value) {
    for (int i = 0; i < rows_; ++i) {
      for (int p = 0; p < columns_; ++p) row(i)[p] = value(i, p);
    }
  }
  void FillNormal(float scale, uint32_t seed) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal(0.0f, scale);
    Fill([&](int, int) { return normal(random); });
  }
  std::vector<float> Copy() const {
    return std::vector<float>(data_, data_ + rows_ * columns_);
  }

 private:
  const int rows_;
  const int columns_;
  const size_t page_bytes_;
  size_t mapped_bytes_;
  char* mapping_;
  float* data_;
};

// Owns what QuantizedRows views; starts as `kUntouched`.
class OwnedRows {
 public:
  OwnedRows(int rows, int k)
      : values_(static_cast<size_t>(rows) * PaddedDepth(k), kUntouched),
        scales_(rows) {
    view_.rows = rows;
    view_.k = k;
    view_.stride = PaddedDepth(k);
    view_.values = values_.data();
    view_.scales = scales_.data();
  }
  const QuantizedRows& view() const { return view_; }
  const std::vector<uint8_t>& values() const { return values_; }
  float Real(int i, int p) const {
    return scales_[i].scale *
           (values_[i * view_.stride + p] - scales_[i].zero_point);
  }
  const RowScale& scale(int i) const { return scales_[i]; }

  bool operator==(const OwnedRows& other) const {
    for (size_t i = 0; i < scales_.size(); ++i) {
      if (scales_[i].scale != other.scales_[i].scale ||
          scales_[i].zero_point != other.scales_[i].zero_point) {
        return false;
      }
    }
    return values_ == other.values_;
  }

 private:
  std::vector<uint8_t> values_;
  std::vector<RowScale> scales_;
  QuantizedRows view_;
};

bool SameBits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() &&
         std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

constexpr int kWidths[] = {1,  2,  7,  15, 16,  17,  31,  32,  33,  48,
                           63, 64, 65, 79, 128, 255, 384, 771, 3072};

class RowOpsTest : public testing::TestWithParam<const Variant*> {
 protected:
  const Variant& variant() const { return *GetParam(); }

  OwnedRows Quantize(const Variant& by, GuardedMatrix& x) {
    OwnedRows out(x.rows(), x.columns());
    by.quantize_rows({.rows = x.rows(),
                      .k = x.columns(),
                      .x = x.data(),
                      .x_stride = x.columns(),
                      .out = out.view()});
    return out;
  }
};

INSTANTIATE_TEST_SUITE_P(Variants, RowOpsTest,
                         testing::ValuesIn(VariantsUnderTest()),
                         VariantTestName);

// Rows of every kind that a model or a hostile one could bring.
float ExtremeValue(int row, int column) {
  switch (row) {
    case 0:
      return 0.0f;
    case 1:
      return -0.0f;
    case 2:
      return 3.25f;
    case 3:
      return -1e30f;
    case 4:
      return column % 2 == 0 ? 1e38f : -1e38f;
    case 5:
      return column % 3 == 0 ? FLT_TRUE_MIN : -300 * FLT_TRUE_MIN;
    case 6:
      return column % 2 == 0 ? FLT_MIN * 255 : 0.0f;
    case 7:
      return static_cast<float>(column - 127);  // ties after scaling
    case 8:
      return column == 0 ? 1e6f : 1e-6f;
    case 9:
      return std::sin(static_cast<float>(column)) * 20.0f;
    case 10:
      return column % 2 == 0 ? -0.5f : 0.5f;  // round(r / S) + Z is 256
    default:
      return -5e-39f * column;
  }
}
constexpr int kExtremeRows = 12;

TEST_P(RowOpsTest, QuantizeRowsEqualsScalarAtOddSizesAndPageEnds) {
  for (int k : kWidths) {
    GuardedMatrix x(3, k);
    x.FillNormal(2.0f, k);
    EXPECT_EQ(Quantize(variant(), x), Quantize(ScalarVariant(), x)) << k;
  }
}

TEST_P(RowOpsTest, QuantizeRowsEqualsScalarAtExtremes) {
  for (int k : {1, 16, 100, 768}) {
    GuardedMatrix x(kExtremeRows, k);
    x.Fill(ExtremeValue);
    EXPECT_EQ(Quantize(variant(), x), Quantize(ScalarVariant(), x)) << k;
  }
}

TEST_P(RowOpsTest, QuantizeRowsFollowsItsFormula) {
  GuardedMatrix x(kExtremeRows, 300);
  x.Fill(ExtremeValue);

  const OwnedRows out = Quantize(variant(), x);

  for (int i = 0; i < x.rows(); ++i) {
    const float* const row = x.row(i);
    const float low = std::min(0.0f, *std::min_element(row, row + 300));
    const float high = std::max(0.0f, *std::max_element(row, row + 300));
    float scale = (high - low) / 255.0f;
    if (scale < FLT_MIN) scale = 1.0f;
    const float inverse = 1.0f / scale;
    const float zero_point = std::nearbyint(-low * inverse);
    ASSERT_EQ(out.scale(i).scale, scale) << i;
    ASSERT_EQ(out.scale(i).zero_point, zero_point) << i;
    for (int p = 0; p < 300; ++p) {
      const float q = std::nearbyint(row[p] * inverse) + zero_point;
      ASSERT_EQ(out.values()[i * out.view().stride + p],
                std::clamp(q, 0.0f, 255.0f))
          << i << " " << p;
    }
  }
}

TEST_P(RowOpsTest, QuantizedValuesAreHalfAStepFromTheRealOnes) {
  GuardedMatrix x(20, 768);
  x.FillNormal(3.0f, 1);

  const OwnedRows out = Quantize(variant(), x);

  for (int i = 0; i < x.rows(); ++i) {
    // Half a step; at the ends half more, since Z is rounded and q clamped.
    const float bound = out.scale(i).scale * 1.001f;
    for (int p = 0; p < x.columns(); ++p) {
      EXPECT_NEAR(out.Real(i, p), x.row(i)[p], bound);
    }
    EXPECT_GE(out.scale(i).zero_point, 0);
    EXPECT_LE(out.scale(i).zero_point, 255);
  }
}

TEST_P(RowOpsTest, QuantizeRowsZeroesThePaddingAndNothingElse) {
  constexpr int kStride = 192;
  GuardedMatrix x(2, 70);
  x.Fill([](int, int) { return -1.0f; });
  std::vector<uint8_t> values(2 * kStride + 8, kUntouched);
  std::vector<RowScale> scales(2);

  variant().quantize_rows({.rows = 2,
                           .k = 70,
                           .x = x.data(),
                           .x_stride = 70,
                           .out = {.rows = 2,
                                   .k = 70,
                                   .stride = kStride,
                                   .values = values.data() + 3,
                                   .scales = scales.data()}});

  EXPECT_EQ(scales[0].zero_point, 255);
  for (int i = 0; i < 2; ++i) {
    const auto row = values.begin() + 3 + i * kStride;
    EXPECT_THAT(std::vector<uint8_t>(row, row + kStride), Each(0));
  }
  EXPECT_THAT(std::vector<uint8_t>(values.end() - 5, values.end()),
              Each(kUntouched));
}

TEST_P(RowOpsTest, ARowDoesNotDependOnItsNeighbours) {
  GuardedMatrix together(9, 100);
  together.FillNormal(1.0f, 5);
  const OwnedRows all = Quantize(variant(), together);
  for (int i = 0; i < together.rows(); ++i) {
    GuardedMatrix alone(1, 100);
    std::copy_n(together.row(i), 100, alone.row(0));
    const OwnedRows one = Quantize(variant(), alone);
    EXPECT_TRUE(std::equal(one.values().begin(), one.values().end(),
                           all.values().begin() + i * all.view().stride));
    EXPECT_EQ(one.scale(0).scale, all.scale(i).scale);
  }
}

// What AddLayerNorm gives for inputs made from a seed.
struct Normalized {
  std::vector<float> y;
  OwnedRows quantized;
};

struct LayerNormCase {
  LayerNormCase(int rows, int k)
      : x(rows, k), residual(rows, k), gamma(1, k), beta(1, k), y(rows, k) {
    x.FillNormal(1.5f, 10 + k);
    residual.FillNormal(1.0f, 20 + k);
    gamma.FillNormal(1.0f, 30 + k);
    beta.FillNormal(0.2f, 40 + k);
  }

  Normalized Run(const Variant& by, bool with_residual = true,
                 bool normalize = true) {
    Normalized result{{}, OwnedRows(x.rows(), x.columns())};
    by.add_layer_norm({.rows = x.rows(),
                       .k = x.columns(),
                       .x = x.data(),
                       .x_stride = x.columns(),
                       .residual = with_residual ? residual.data() : nullptr,
                       .residual_stride = x.columns(),
                       .gamma = gamma.data(),
                       .beta = beta.data(),
                       .normalize = normalize,
                       .epsilon = 1e-12f,
                       .y = y.data(),
                       .y_stride = x.columns(),
                       .out = result.quantized.view()});
    result.y = y.Copy();
    return result;
  }

  GuardedMatrix x, residual, gamma, beta, y;
};

TEST_P(RowOpsTest, AddLayerNormEqualsScalarAtOddSizesAndPageEnds) {
  for (int k : kWidths) {
    LayerNormCase test(3, k);
    for (bool with_residual : {true, false}) {
      for (bool normalize : {true, false}) {
        const Normalized expected =
            test.Run(ScalarVariant(), with_residual, normalize);
        const Normalized actual = test.Run(variant(), with_residual, normalize);
        EXPECT_TRUE(SameBits(actual.y, expected.y)) << k;
        EXPECT_EQ(actual.quantized, expected.quantized) << k;
      }
    }
  }
}

TEST_P(RowOpsTest, AddLayerNormEqualsScalarAtExtremes) {
  LayerNormCase test(4, 130);
  test.x.Fill([](int row, int column) {
    switch (row) {
      case 0:
        return 0.0f;
      case 1:
        return 7.0f;
      case 2:
        return column % 2 == 0 ? 1e15f : -1e15f;
      default:
        return column * FLT_TRUE_MIN;
    }
  });
  const Normalized expected = test.Run(ScalarVariant(), false);
  const Normalized actual = test.Run(variant(), false);
  EXPECT_TRUE(SameBits(actual.y, expected.y));
  EXPECT_EQ(actual.quantized, expected.quantized);
}

TEST_P(RowOpsTest, AddLayerNormIsCloseToDoublePrecision) {
  for (int k : {16, 100, 384, 768, 1024}) {
    LayerNormCase test(5, k);
    const std::vector<float> y = test.Run(variant()).y;
    for (int i = 0; i < 5; ++i) {
      std::vector<double> v(k);
      double mean = 0.0, variance = 0.0;
      for (int p = 0; p < k; ++p) {
        v[p] = static_cast<double>(test.x.row(i)[p]) + test.residual.row(i)[p];
        mean += v[p] / k;
      }
      for (double value : v) variance += (value - mean) * (value - mean) / k;
      // Each lane adds k / 16 values: the mean is off by at most
      // (k / 16 + 5) epsilon mean |v| and the variance by twice that; values
      // here have |v| < 8 and |normal| < 5, so a few roundings of 8 besides.
      const double epsilon = std::ldexp(1.0, -24);
      const double bound = (k / 16 + 16) * epsilon * 8.0;
      for (int p = 0; p < k; ++p) {
        const double gamma = test.gamma.row(0)[p];
        const double expected =
            (v[p] - mean) / std::sqrt(variance + 1e-12) * gamma +
            test.beta.row(0)[p];
        EXPECT_NEAR(y[i * k + p], expected, bound * (1.0 + std::abs(gamma)))
            << k;
      }
    }
  }
}

TEST_P(RowOpsTest, AddLayerNormWithoutNormalizeScalesAndShifts) {
  LayerNormCase test(3, 77);
  const std::vector<float> y = test.Run(variant(), true, false).y;
  for (int i = 0; i < 3; ++i) {
    for (int p = 0; p < 77; ++p) {
      const float v = test.x.row(i)[p] + test.residual.row(i)[p];
      EXPECT_EQ(y[i * 77 + p],
                std::fma(v, test.gamma.row(0)[p], test.beta.row(0)[p]));
    }
  }
}

TEST_P(RowOpsTest, AddLayerNormMayWriteOverItsInputs) {
  LayerNormCase test(4, 77);
  const Normalized expected = test.Run(variant());
  for (GuardedMatrix* target : {&test.residual, &test.x}) {
    const std::vector<float> saved = target->Copy();
    variant().add_layer_norm({.rows = 4,
                              .k = 77,
                              .x = test.x.data(),
                              .x_stride = 77,
                              .residual = test.residual.data(),
                              .residual_stride = 77,
                              .gamma = test.gamma.data(),
                              .beta = test.beta.data(),
                              .epsilon = 1e-12f,
                              .y = target->data(),
                              .y_stride = 77,
                              .out = {}});
    EXPECT_TRUE(SameBits(target->Copy(), expected.y));
    std::copy(saved.begin(), saved.end(), target->data());
  }
}

constexpr Activation kActivations[] = {Activation::kGelu, Activation::kGeluTanh,
                                       Activation::kRelu, Activation::kTanh};

double Reference(Activation activation, double x) {
  switch (activation) {
    case Activation::kGelu:
      return x / 2 * (1 + std::erf(x / std::sqrt(2.0)));
    case Activation::kGeluTanh:
      return x / 2 *
             (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case Activation::kRelu:
      return std::max(x, 0.0);
    case Activation::kTanh:
      return std::tanh(x);
  }
  return 0.0;
}

struct Activated {
  std::vector<float> y;
  OwnedRows quantized;
};

Activated Activate(const Variant& by, Activation activation,
                   const std::vector<float>& input, int k) {
  const int rows = static_cast<int>(input.size()) / k;
  GuardedMatrix x(rows, k);
  std::copy(input.begin(), input.end(), x.data());
  Activated result{{}, OwnedRows(rows, k)};
  by.activate({.activation = activation,
               .rows = rows,
               .k = k,
               .x = x.data(),
               .x_stride = k,
               .out = result.quantized.view()});
  result.y = x.Copy();
  return result;
}

TEST_P(RowOpsTest, ActivateEqualsScalarAtOddSizesAndPageEnds) {
  for (int k : kWidths) {
    GuardedMatrix x(3, k);
    x.FillNormal(3.0f, k);
    for (Activation activation : kActivations) {
      const Activated expected =
          Activate(ScalarVariant(), activation, x.Copy(), k);
      const Activated actual = Activate(variant(), activation, x.Copy(), k);
      EXPECT_TRUE(SameBits(actual.y, expected.y)) << k;
      EXPECT_EQ(actual.quantized, expected.quantized) << k;
    }
  }
}

// Every 16411th float from -FLT_MAX to FLT_MAX, zeros and denormals included.
std::vector<float> SampleOfAllFloats() {
  std::vector<float> sample;
  for (uint64_t bits = 0; bits < (1ull << 32); bits += 16411) {
    const uint32_t word = static_cast<uint32_t>(bits);
    float x;
    std::memcpy(&x, &word, sizeof(x));
    if (std::isfinite(x)) sample.push_back(x);
  }
  sample.push_back(-0.0f);
  return sample;
}

TEST_P(RowOpsTest, ActivateEqualsScalarOverAllFloats) {
  const std::vector<float> x = SampleOfAllFloats();
  for (Activation activation : kActivations) {
    const int k = static_cast<int>(x.size());
    EXPECT_TRUE(SameBits(Activate(variant(), activation, x, k).y,
                         Activate(ScalarVariant(), activation, x, k).y));
  }
}

TEST_P(RowOpsTest, QuantizedActivationsAreThoseOfTheActivatedRow) {
  GuardedMatrix x(4, 130);
  x.FillNormal(2.0f, 3);
  for (Activation activation : kActivations) {
    const Activated both = Activate(variant(), activation, x.Copy(), 130);
    GuardedMatrix y(4, 130);
    std::copy(both.y.begin(), both.y.end(), y.data());
    EXPECT_EQ(both.quantized, Quantize(variant(), y));
  }
}

// Units in the last place of `expected`, as a float.
double UlpsBetween(double actual, double expected) {
  const double magnitude =
      std::max(std::abs(expected), static_cast<double>(FLT_MIN));
  const double ulp = std::ldexp(1.0, std::ilogb(magnitude) - 23);
  return std::abs(actual - expected) / ulp;
}

// row_ops.inc derives the bound.
TEST_P(RowOpsTest, TanhIsWithinSevenUlps) {
  const std::vector<float> x = SampleOfAllFloats();
  const std::vector<float> y =
      Activate(variant(), Activation::kTanh, x, static_cast<int>(x.size())).y;
  double worst = 0.0;
  for (size_t i = 0; i < x.size(); ++i) {
    worst = std::max(worst, UlpsBetween(y[i], std::tanh(double{x[i]})));
  }
  EXPECT_LE(worst, 7.0);
}

// Half of the erf's (or tanh's) 7 ulps of 1/2 and a rounding of the sum remain,
// in ulps of x. Where x < 0, 1 + erf cancels, so only x can measure the error.
TEST_P(RowOpsTest, GeluIsWithinFourUlpsOfItsInput) {
  const std::vector<float> x = SampleOfAllFloats();
  for (Activation activation : {Activation::kGelu, Activation::kGeluTanh}) {
    const std::vector<float> y =
        Activate(variant(), activation, x, static_cast<int>(x.size())).y;
    double worst = 0.0, worst_positive = 0.0;
    for (size_t i = 0; i < x.size(); ++i) {
      if (std::abs(x[i]) > 1e12f) continue;  // x^3 overflows in PyTorch too
      const double expected = Reference(activation, x[i]);
      const double ulps = UlpsBetween(y[i], expected);
      const double scaled = ulps *
                            std::max(std::abs(expected), double{FLT_MIN}) /
                            std::max(std::abs(double{x[i]}), double{FLT_MIN});
      worst = std::max(worst, scaled);
      if (x[i] > 0) worst_positive = std::max(worst_positive, ulps);
    }
    EXPECT_LE(worst, 4.0);
    EXPECT_LE(worst_positive, 4.0);
  }
}

}  // namespace
}  // namespace tern

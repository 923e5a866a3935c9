#include "kernels/ternary_gemm.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernels/variant.h"
#include "tests/kernels/variants_under_test.h"

namespace tern {
namespace {

enum class Fill { kRandom, kMost, kLeast, kAlternating };

// One product with everything it needs, its buffers misaligned on purpose.
struct Product {
  Product(int m, int n, int k, std::mt19937& random, Fill fill = Fill::kRandom)
      : m(m), n(n), k(k), y_stride(n + 3) {
    x.rows = m;
    x.k = k;
    x.stride = PaddedDepth(k);
    values.resize(static_cast<size_t>(m) * x.stride + 1);
    x.values = values.data() + 1;
    scales.resize(m);
    x.scales = scales.data();
    for (int i = 0; i < m; ++i) {
      scales[i].scale = std::uniform_real_distribution<float>(1e-3f, 1)(random);
      scales[i].zero_point =
          fill == Fill::kMost ? 255 : static_cast<int>(random() % 256);
      for (int p = 0; p < k; ++p) {
        x.values[static_cast<size_t>(i) * x.stride + p] =
            fill == Fill::kRandom ? random() % 256 : 255;
      }
    }
    row_bytes = (k + 3) / 4;
    codes.resize(static_cast<size_t>(n) * row_bytes);
    for (int j = 0; j < n; ++j) {
      for (int p = 0; p < k; ++p) {
        const int code = fill == Fill::kRandom  ? random() % 3
                         : fill == Fill::kMost  ? 2
                         : fill == Fill::kLeast ? 0
                                                : (j + p) % 2 * 2;
        codes[j * row_bytes + p / 4] |= code << (p % 4 * 2);
      }
    }
    w = {.n = n, .k = k, .codes = codes.data(), .scale = 0.37f};
    bias_memory.resize(n + 1);
    for (float& b : bias_memory) {
      b = std::uniform_real_distribution<float>(-2, 2)(random);
    }
  }

  const float* bias() const { return bias_memory.data() + 1; }

  // Runs columns [first, last) into a y prefilled with NaN: what a variant
  // must not write stays NaN.
  std::vector<float> Run(const Variant& variant, int first, int last) const {
    const PackedTernary packed = variant.pack_ternary(w);
    std::vector<float> y(static_cast<size_t>(m) * y_stride + 1,
                         std::numeric_limits<float>::quiet_NaN());
    variant.ternary_gemm({.x = x,
                          .w = &packed,
                          .bias = bias(),
                          .y = y.data() + 1,
                          .y_stride = y_stride,
                          .first_column = first,
                          .last_column = last});
    return y;
  }
  std::vector<float> Run(const Variant& variant) const {
    return Run(variant, 0, n);
  }

  int m, n, k, y_stride;
  std::vector<uint8_t> values;
  std::vector<RowScale> scales;
  QuantizedRows x;
  size_t row_bytes;
  std::vector<uint8_t> codes;
  TernaryMatrix w;
  std::vector<float> bias_memory;
};

// Bit for bit, NaN included.
void ExpectSameBits(const std::vector<float>& actual,
                    const std::vector<float>& expected) {
  ASSERT_EQ(actual.size(), expected.size());
  if (std::memcmp(actual.data(), expected.data(),
                  actual.size() * sizeof(float)) == 0) {
    return;
  }
  for (size_t i = 0; i < actual.size(); ++i) {
    ASSERT_EQ(std::memcmp(&actual[i], &expected[i], sizeof(float)), 0)
        << "at " << i << ": " << actual[i] << ", expected " << expected[i];
  }
}

class TernaryGemmTest : public testing::TestWithParam<const Variant*> {
 protected:
  const Variant& variant() const { return *GetParam(); }
  std::mt19937 random_{7};
};

TEST_P(TernaryGemmTest, EqualsScalarAtOddSizes) {
  for (const int m : {1, 2, 3, 4, 5, 6, 7, 11, 16, 17, 31, 33, 47}) {
    for (const int n : {1, 7, 8, 15, 17, 63, 64, 65, 130}) {
      for (const int k : {1, 3, 16, 63, 64, 65, 129, 300}) {
        SCOPED_TRACE(testing::Message() << m << " x " << n << " x " << k);
        const Product product(m, n, k, random_);
        ExpectSameBits(product.Run(variant()), product.Run(ScalarVariant()));
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST_P(TernaryGemmTest, EqualsScalarAtShapesOfModels) {
  for (const auto& [m, n, k] :
       {std::tuple(1, 384, 1536), std::tuple(9, 1536, 384),
        std::tuple(128, 384, 384), std::tuple(64, 768, 768),
        std::tuple(33, 768, 3072), std::tuple(200, 192, 768)}) {
    SCOPED_TRACE(testing::Message() << m << " x " << n << " x " << k);
    const Product product(m, n, k, random_);
    ExpectSameBits(product.Run(variant()), product.Run(ScalarVariant()));
  }
}

// The largest sums of either sign: where 16-bit accumulators would overflow.
TEST_P(TernaryGemmTest, EqualsScalarAtExtremes) {
  for (const Fill fill : {Fill::kMost, Fill::kLeast, Fill::kAlternating}) {
    for (const int m : {1, 2, 3, 6, 13}) {
      for (const int k : {128, 3072, 10000}) {
        SCOPED_TRACE(testing::Message() << m << " rows, k = " << k);
        const Product product(m, 70, k, random_, fill);
        ExpectSameBits(product.Run(variant()), product.Run(ScalarVariant()));
        if (HasFatalFailure()) return;
      }
    }
  }
}

// Large enough for a variant that takes another way for many rows and columns.
TEST_P(TernaryGemmTest, EqualsScalarWithManyRowsAndColumns) {
  for (const auto& [m, n, k] :
       {std::tuple(32, 384, 16), std::tuple(33, 391, 65),
        std::tuple(64, 1000, 300), std::tuple(70, 449, 241),
        std::tuple(95, 1601, 129), std::tuple(32, 770, 1),
        std::tuple(16, 384, 256), std::tuple(31, 1540, 225)}) {
    SCOPED_TRACE(testing::Message() << m << " x " << n << " x " << k);
    const Product product(m, n, k, random_);
    ExpectSameBits(product.Run(variant()), product.Run(ScalarVariant()));
  }
  for (const Fill fill : {Fill::kMost, Fill::kLeast, Fill::kAlternating}) {
    const Product product(33, 400, 3072, random_, fill);
    ExpectSameBits(product.Run(variant()), product.Run(ScalarVariant()));
  }
}

TEST_P(TernaryGemmTest, WideColumnRangesTogetherEqualTheWhole) {
  const Product product(40, 1333, 100, random_);
  const std::vector<float> whole = product.Run(variant());
  std::vector<float> assembled = product.Run(variant(), 0, 448);
  const std::vector<float> rest = product.Run(variant(), 448, product.n);
  for (size_t i = 0; i < rest.size(); ++i) {
    if (std::isnan(rest[i])) continue;
    EXPECT_TRUE(std::isnan(assembled[i])) << i;
    assembled[i] = rest[i];
  }
  ExpectSameBits(assembled, whole);
}

TEST_P(TernaryGemmTest, ColumnRangesTogetherEqualTheWhole) {
  for (const int m : {1, 5, 64}) {
    const Product product(m, 300, 200, random_);
    const std::vector<float> whole = product.Run(variant());
    std::vector<float> assembled = product.Run(variant(), 0, 0);
    for (int first = 0; first < product.n; first += 2 * kTernaryColumnBlock) {
      const int last = std::min(first + 2 * kTernaryColumnBlock, product.n);
      const std::vector<float> part = product.Run(variant(), first, last);
      for (size_t i = 0; i < part.size(); ++i) {
        if (std::isnan(part[i])) continue;
        const int column = (i - 1) % product.y_stride;
        EXPECT_TRUE(first <= column && column < last) << column;
        assembled[i] = part[i];
      }
    }
    ExpectSameBits(assembled, whole);
  }
}

TEST_P(TernaryGemmTest, RowDoesNotDependOnItsNeighbours) {
  const Product all(130, 128, 384, random_);
  const std::vector<float> together = all.Run(variant());
  for (int i = 0; i < all.m; ++i) {
    Product alone = all;
    alone.m = alone.x.rows = 1;
    alone.x.values += static_cast<size_t>(i) * all.x.stride;
    alone.x.scales += i;
    const std::vector<float> y = alone.Run(variant());
    ASSERT_EQ(
        std::memcmp(y.data() + 1,
                    together.data() + 1 + static_cast<size_t>(i) * all.y_stride,
                    all.n * sizeof(float)),
        0)
        << "row " << i;
  }
}

TEST_P(TernaryGemmTest, NoRowsWriteNothing) {
  const Product product(0, 64, 64, random_);
  EXPECT_TRUE(std::isnan(product.Run(variant())[0]));
}

INSTANTIATE_TEST_SUITE_P(Variants, TernaryGemmTest,
                         testing::ValuesIn(VariantsUnderTest()),
                         VariantTestName);

// The specification itself, against the real-valued formula in double.
TEST(TernaryGemmScalarTest, IsNearTheProductOfTheRealMatrices) {
  std::mt19937 random(3);
  const Product product(9, 33, 700, random);
  const std::vector<float> y = product.Run(ScalarVariant());
  for (int i = 0; i < product.m; ++i) {
    const RowScale row = product.scales[i];
    for (int j = 0; j < product.n; ++j) {
      double exact = 0;
      for (int p = 0; p < product.k; ++p) {
        const int t =
            (product.codes[j * product.row_bytes + p / 4] >> (p % 4 * 2) & 3) -
            1;
        const int q = product.x.values[i * product.x.stride + p];
        exact += static_cast<double>(row.scale) * (q - row.zero_point) *
                 product.w.scale * t;
      }
      // The integer sum is below 2^24, hence exact as a float; S alpha is
      // rounded once and so is the fused multiply-add.
      const double epsilon = std::numeric_limits<float>::epsilon() / 2;
      const double bound =
          epsilon * (std::fabs(exact) +
                     (1 + epsilon) * std::fabs(exact + product.bias()[j])) +
          1e-12;
      EXPECT_NEAR(y[1 + i * product.y_stride + j], exact + product.bias()[j],
                  bound);
    }
  }
}

TEST(TernaryGemmScalarTest, ColumnSumsCountTheSigns) {
  const uint8_t codes[] = {0b10100100, 0b00000010};  // -1 0 1 1, 1
  const PackedTernary packed = ScalarVariant().pack_ternary(
      {.n = 1, .k = 5, .codes = codes, .scale = 1});
  EXPECT_THAT(packed.column_sums, testing::ElementsAre(2));
}

}  // namespace
}  // namespace tern

#include "kernels/attention.h"

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernels/aligned_buffer.h"
#include "kernels/quantized_rows.h"
#include "kernels/variant.h"
#include "tests/kernels/variants_under_test.h"

namespace tern {
namespace {

using ::testing::Each;
using ::testing::FloatEq;

// q, k and v of one head, as three exact allocations, so that ASan sees a read
// past the last row.
struct Head {
  Head(int length, int head_dim, float scale = 1.0f, uint32_t seed = 1)
      : length(length), head_dim(head_dim) {
    std::mt19937 random(seed + 1000 * length + head_dim);
    std::normal_distribution<float> normal(0.0f, scale);
    for (std::vector<float>* x : {&q, &k, &v}) {
      x->resize(static_cast<size_t>(length) * head_dim);
      for (float& value : *x) value = normal(random);
    }
  }

  int length;
  int head_dim;
  std::vector<float> q, k, v;
};

using AttentionFunction = void (*)(const AttentionArgs&);

constexpr float kUntouched = -77.0f;

// The context of `head`. Scratch begins as `scratch_byte`s.
std::vector<float> Attend(AttentionFunction attention, const Head& head,
                          uint8_t scratch_byte = 0) {
  std::vector<float> context(head.q.size(), kUntouched);
  AlignedBuffer<uint8_t> scratch(
      AttentionScratchBytes(head.length, head.head_dim));
  std::memset(scratch.data(), scratch_byte, scratch.size());
  attention({.length = head.length,
             .head_dim = head.head_dim,
             .q = head.q.data(),
             .k = head.k.data(),
             .v = head.v.data(),
             .stride = head.head_dim,
             .context = context.data(),
             .context_stride = head.head_dim,
             .scratch = scratch.data()});
  return context;
}

bool SameBits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() &&
         std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

// Quantized as quantized_rows.h says, and back.
std::vector<double> FakeQuantize(const float* x, size_t size) {
  const float low = std::min(0.0f, *std::min_element(x, x + size));
  const float high = std::max(0.0f, *std::max_element(x, x + size));
  float scale = (high - low) / 255.0f;
  if (scale < FLT_MIN) scale = 1.0f;
  const float inverse = 1.0f / scale;
  const float zero_point = std::nearbyint(-low * inverse);
  std::vector<double> real(size);
  for (size_t p = 0; p < size; ++p) {
    const float q =
        std::clamp(std::nearbyint(x[p] * inverse) + zero_point, 0.0f, 255.0f);
    real[p] = double{scale} * (q - zero_point);
  }
  return real;
}

std::vector<double> FakeQuantizeRows(const std::vector<float>& x, int columns) {
  std::vector<double> real;
  for (size_t start = 0; start < x.size(); start += columns) {
    const std::vector<double> row = FakeQuantize(&x[start], columns);
    real.insert(real.end(), row.begin(), row.end());
  }
  return real;
}

struct Reference {
  std::vector<double> context;
  // Sum over j of |p v|, which rounding errors are relative to.
  std::vector<double> magnitude;
};

// Attention in double precision; `quantize_p` rounds 255 p / max p.
Reference ReferenceAttention(const std::vector<double>& q,
                             const std::vector<double>& k,
                             const std::vector<double>& v, int length, int d,
                             bool quantize_p) {
  Reference result{std::vector<double>(q.size()),
                   std::vector<double>(q.size())};
  for (int i = 0; i < length; ++i) {
    std::vector<double> e(length);
    double largest = -INFINITY, sum = 0.0;
    for (int j = 0; j < length; ++j) {
      double dot = 0.0;
      for (int p = 0; p < d; ++p) dot += q[i * d + p] * k[j * d + p];
      e[j] = dot / std::sqrt(double(d));
      largest = std::max(largest, e[j]);
    }
    for (double& x : e) sum += x = std::exp(x - largest);
    for (int j = 0; j < length; ++j) {
      const double p =
          (quantize_p ? std::nearbyint(e[j] * 255) / 255 : e[j]) / sum;
      for (int c = 0; c < d; ++c) {
        result.context[i * d + c] += p * v[j * d + c];
        result.magnitude[i * d + c] += std::abs(p * v[j * d + c]);
      }
    }
  }
  return result;
}

std::vector<double> Doubles(const std::vector<float>& x) {
  return std::vector<double>(x.begin(), x.end());
}

class AttentionTest : public testing::TestWithParam<const Variant*> {
 protected:
  const Variant& variant() const { return *GetParam(); }

  void ExpectEqualsScalar(const Head& head) {
    EXPECT_TRUE(SameBits(Attend(variant().attention_fp32, head),
                         Attend(ScalarVariant().attention_fp32, head)))
        << "fp32, length " << head.length << ", head_dim " << head.head_dim;
    EXPECT_TRUE(SameBits(Attend(variant().attention_int8, head),
                         Attend(ScalarVariant().attention_int8, head)))
        << "int8, length " << head.length << ", head_dim " << head.head_dim;
  }
};

INSTANTIATE_TEST_SUITE_P(Variants, AttentionTest,
                         testing::ValuesIn(VariantsUnderTest()),
                         VariantTestName);

TEST_P(AttentionTest, EqualsScalarAtOddSizes) {
  for (int length : {1, 2, 3, 5, 8, 9, 15, 16, 17, 31, 33, 64, 127}) {
    for (int head_dim : {1, 3, 16, 20, 32, 33, 64, 100}) {
      ExpectEqualsScalar(Head(length, head_dim));
    }
  }
}

TEST_P(AttentionTest, EqualsScalarOnLongSequences) {
  ExpectEqualsScalar(Head(384, 32));
  ExpectEqualsScalar(Head(512, 64));
  ExpectEqualsScalar(Head(600, 20));
  // Around the sizes from which AMX takes it in tiles.
  for (int length : {127, 128, 129, 143, 144, 191, 193}) {
    for (int head_dim : {63, 64, 65, 100, 128}) {
      ExpectEqualsScalar(Head(length, head_dim));
    }
  }
}

TEST_P(AttentionTest, EqualsScalarAtExtremes) {
  for (float scale : {0.0f, 1e-40f, 1e-20f, 30.0f, 1e8f}) {
    ExpectEqualsScalar(Head(37, 64, scale));
    ExpectEqualsScalar(Head(130, 64, scale));
  }
  Head constant(20, 32);
  std::fill(constant.q.begin(), constant.q.end(), 255.0f);
  std::fill(constant.k.begin(), constant.k.end(), -255.0f);
  std::fill(constant.v.begin(), constant.v.end(), 1.0f);
  ExpectEqualsScalar(constant);
}

TEST_P(AttentionTest, Fp32IsCloseToDoublePrecision) {
  for (int length : {1, 7, 128, 512}) {
    for (int d : {32, 64}) {
      const Head head(length, d);
      const std::vector<float> context = Attend(variant().attention_fp32, head);
      const Reference expected = ReferenceAttention(
          Doubles(head.q), Doubles(head.k), Doubles(head.v), length, d, false);
      // A score is off by at most (d + 3) 2^-24 times sum |q k| / sqrt(d),
      // which is below 2 sqrt(d) here, and that is the relative error of e;
      // the sums over j add at most length + length / 16 roundings, the rest
      // (exp, divisions, products) fewer than 16.
      const double epsilon = std::ldexp(1.0, -24);
      const double bound =
          (2 * (d + 3) * 2 * std::sqrt(double(d)) + 1.1 * length + 16) *
          epsilon;
      for (size_t i = 0; i < context.size(); ++i) {
        ASSERT_NEAR(context[i], expected.context[i],
                    bound * expected.magnitude[i] + 1e-30);
      }
    }
  }
}

TEST_P(AttentionTest, Int8FollowsTheQuantizationThatTheTrainerSimulates) {
  for (int length : {1, 7, 128, 512}) {
    for (int d : {32, 64}) {
      const Head head(length, d);
      const std::vector<float> context = Attend(variant().attention_int8, head);
      const Reference expected = ReferenceAttention(
          FakeQuantizeRows(head.q, d), FakeQuantizeRows(head.k, d),
          FakeQuantize(head.v.data(), head.v.size()), length, d, true);
      // Sums are exact, so scores (below 16 here) are off by a few roundings:
      // e by 2^-19 of itself. That may push a probability over a rounding
      // tie, one of 255 e steps, in as many as 2^-18 * 255 of the cases; allow
      // two such j for each i, each worth |v| / (255 sum e).
      const double v_max = std::abs(*std::max_element(
          head.v.begin(), head.v.end(),
          [](float a, float b) { return std::abs(a) < std::abs(b); }));
      int over_a_tie = 0;
      for (size_t i = 0; i < context.size(); ++i) {
        const double error = std::abs(context[i] - expected.context[i]);
        const double rounding =
            std::ldexp(1.0, -18) * expected.magnitude[i] + 1e-30;
        if (error > rounding) ++over_a_tie;
        ASSERT_LE(error, rounding + 2 * v_max / 255) << length << " " << d;
      }
      EXPECT_LE(over_a_tie, 0.1 * context.size());
    }
  }
}

// Two keys with scores 0 and -x, values 0 and 1: the context is e / (1 + e)
// with e = exp(-x), hence within 2 ulps for e, 1/2 each for the sum, its
// reciprocal and the product, twice that in ulps of a result just below a power
// of two.
TEST_P(AttentionTest, ExpIsAccurateOverItsRange) {
  Head head(2, 1);
  head.k = {0.0f, -1.0f};
  head.v = {0.0f, 1.0f};
  for (float x = 1e-6f; x < 87.2f; x *= 1.003f) {
    head.q = {x, x};
    const double e = std::exp(-double{x});
    const double expected = e / (1.0 + e);
    const double ulp = std::ldexp(1.0, std::ilogb(expected) - 23);
    ASSERT_NEAR(Attend(variant().attention_fp32, head)[0], expected, 7 * ulp)
        << x;
  }
  head.q = {87.4f, 1e30f};
  EXPECT_THAT(Attend(variant().attention_fp32, head), Each(0.0f));
}

TEST_P(AttentionTest, ProbabilitiesSumToOne) {
  for (int length : {1, 30, 200}) {
    Head head(length, 32);
    std::fill(head.v.begin(), head.v.end(), 1.0f);
    for (float x : Attend(variant().attention_fp32, head)) {
      EXPECT_NEAR(x, 1.0, (length + 16) * std::ldexp(1.0, -24));
    }
    // p rounded to 1/255 of the largest: off by half a step for each j.
    for (float x : Attend(variant().attention_int8, head)) {
      EXPECT_NEAR(x, 1.0, 0.5 * length / 255);
    }
  }
}

TEST_P(AttentionTest, AKeyThatDominatesGivesItsValue) {
  Head head(50, 32, 0.1f);
  std::fill(head.q.begin(), head.q.end(), 10.0f);
  for (int c = 0; c < 32; ++c) head.k[17 * 32 + c] = 10.0f;
  const std::vector<float> context = Attend(variant().attention_fp32, head);
  for (int i = 0; i < 50; ++i) {
    for (int c = 0; c < 32; ++c) {
      EXPECT_THAT(context[i * 32 + c], FloatEq(head.v[17 * 32 + c]));
    }
  }
}

TEST_P(AttentionTest, DoesNotDependOnWhatScratchHeld) {
  for (const Head& head : {Head(21, 20), Head(133, 68)}) {
    for (const AttentionFunction attention :
         {variant().attention_fp32, variant().attention_int8}) {
      const std::vector<float> expected = Attend(attention, head, 0);
      EXPECT_TRUE(SameBits(Attend(attention, head, 0xff), expected));  // NaNs
      EXPECT_TRUE(SameBits(Attend(attention, head, 0x7f), expected));
    }
  }
}

// As the engine calls it: heads side by side in one matrix, sequences below one
// another.
TEST_P(AttentionTest, OneHeadOfManyEqualsTheSameHeadAlone) {
  constexpr int kHeads = 3, kDim = 24, kHidden = kHeads * kDim, kBefore = 5;
  const Head alone(19, kDim);
  std::vector<float> qkv(static_cast<size_t>(40) * 3 * kHidden, 1e20f);
  std::vector<float> context(static_cast<size_t>(40) * kHidden, kUntouched);
  const size_t column = kDim;  // the second head
  for (int i = 0; i < alone.length; ++i) {
    float* const row = &qkv[(kBefore + i) * 3 * kHidden + column];
    std::copy_n(&alone.q[i * kDim], kDim, row);
    std::copy_n(&alone.k[i * kDim], kDim, row + kHidden);
    std::copy_n(&alone.v[i * kDim], kDim, row + 2 * kHidden);
  }
  AlignedBuffer<uint8_t> scratch(AttentionScratchBytes(alone.length, kDim));
  for (const AttentionFunction attention :
       {variant().attention_fp32, variant().attention_int8}) {
    std::fill(context.begin(), context.end(), kUntouched);
    const float* const first = &qkv[kBefore * 3 * kHidden + column];
    attention({.length = alone.length,
               .head_dim = kDim,
               .q = first,
               .k = first + kHidden,
               .v = first + 2 * kHidden,
               .stride = 3 * kHidden,
               .context = &context[kBefore * kHidden + column],
               .context_stride = kHidden,
               .scratch = scratch.data()});

    const std::vector<float> expected = Attend(attention, alone);
    for (int i = 0; i < 40; ++i) {
      float* const row = &context[i * kHidden];
      const bool inside = i >= kBefore && i < kBefore + alone.length;
      if (inside) {
        EXPECT_EQ(std::memcmp(row + column, &expected[(i - kBefore) * kDim],
                              kDim * sizeof(float)),
                  0);
        std::fill_n(row + column, kDim, kUntouched);
      }
      EXPECT_THAT(std::vector<float>(row, row + kHidden), Each(kUntouched));
    }
  }
}

}  // namespace
}  // namespace tern

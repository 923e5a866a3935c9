#include "kernels/ternarize.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tern {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;

double SquaredError(const std::vector<float>& w, double alpha,
                    const std::vector<int8_t>& t) {
  double error = 0;
  for (size_t i = 0; i < w.size(); ++i) {
    error += (w[i] - alpha * t[i]) * (w[i] - alpha * t[i]);
  }
  return error;
}

TEST(TernarizeTwnTest, KeepsSignsOfWeightsPastTheThreshold) {
  // mean |w| = 1.025, delta = 0.7175; kept: 2 and -1.5.
  const std::vector<float> w = {2.0f, -1.5f, 0.5f, -0.1f};
  std::vector<int8_t> t(w.size());
  const float alpha = TernarizeTwn(w.data(), w.size(), t.data());
  EXPECT_THAT(t, ElementsAre(1, -1, 0, 0));
  EXPECT_EQ(alpha, 1.75f);
}

TEST(TernarizeTwnTest, TheThresholdIsSevenTenthsOfTheMeanMagnitude) {
  // mean |w| = 1: 0.69 and -0.69 go, 0.71 and -0.71 stay.
  const std::vector<float> w = {0.69f, -0.69f, 0.71f, -0.71f, 1.6f, -1.6f};
  std::vector<int8_t> t(w.size());
  const float alpha = TernarizeTwn(w.data(), w.size(), t.data());
  EXPECT_THAT(t, ElementsAre(0, 0, 1, -1, 1, -1));
  EXPECT_FLOAT_EQ(alpha, 1.155f);
}

TEST(TernarizeTwnTest, ScaleIsTheBestForItsTernaryWeights) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  for (int trial = 0; trial < 200; ++trial) {
    std::vector<float> w(1 + trial % 17);
    for (float& v : w) v = normal(random);
    std::vector<int8_t> t(w.size());
    const float alpha = TernarizeTwn(w.data(), w.size(), t.data());
    const double error = SquaredError(w, alpha, t);
    for (double other = 0; other < 4; other += 0.01) {
      // Alpha is rounded to float once, an error of at most 2^-24 of it;
      // squared error is stationary there, so 1e-12 covers it.
      EXPECT_LE(error, SquaredError(w, other, t) + 1e-12);
    }
  }
}

// Every T in {-1, 0, 1}^size with its best alpha = w . T / |T|: the exact
// solution of the problem that TWN approximates.
double LeastSquaredError(const std::vector<float>& w) {
  double least = std::numeric_limits<double>::infinity();
  std::vector<int8_t> t(w.size(), -1);
  while (true) {
    double dot = 0, kept = 0;
    for (size_t i = 0; i < w.size(); ++i) {
      dot += w[i] * t[i];
      kept += t[i] != 0;
    }
    least = std::min(
        least, SquaredError(w, kept == 0 ? 0 : std::max(0.0, dot / kept), t));
    size_t i = 0;
    while (i < t.size() && t[i] == 1) t[i++] = -1;
    if (i == t.size()) return least;
    ++t[i];
  }
}

TEST(TernarizeTwnTest, IsNeverBetterThanBruteForceAndUsuallyNearIt) {
  std::mt19937 random(2);
  std::normal_distribution<float> normal;
  double error = 0, least = 0;
  for (int trial = 0; trial < 50; ++trial) {
    std::vector<float> w(7);
    for (float& v : w) v = normal(random);
    std::vector<int8_t> t(w.size());
    const float alpha = TernarizeTwn(w.data(), w.size(), t.data());
    const double twn = SquaredError(w, alpha, t);
    const double best = LeastSquaredError(w);
    EXPECT_GE(twn, best - 1e-6);
    error += twn;
    least += best;
  }
  // For normal weights 0.7 mean|w| is near the optimal threshold (Li et al.
  // 2016, section 2.2); vectors of 7 scatter around it.
  EXPECT_LE(error, 1.5 * least);
}

TEST(TernarizeTwnTest, EqualMagnitudesAreAllKept) {
  const std::vector<float> w = {0.25f, -0.25f, 0.25f};
  std::vector<int8_t> t(w.size());
  EXPECT_EQ(TernarizeTwn(w.data(), w.size(), t.data()), 0.25f);
  EXPECT_THAT(t, ElementsAre(1, -1, 1));
}

TEST(TernarizeTwnTest, ZeroWeightsGiveZeroScale) {
  const std::vector<float> w(5, 0.0f);
  std::vector<int8_t> t(w.size(), 1);
  EXPECT_EQ(TernarizeTwn(w.data(), w.size(), t.data()), 0.0f);
  EXPECT_THAT(t, Each(0));
}

TEST(TernarizeTwnTest, EmptyMatrixIsHarmless) {
  EXPECT_EQ(TernarizeTwn(nullptr, 0, nullptr), 0.0f);
}

double WeightedError(const std::vector<float>& w, const std::vector<float>& d,
                     double alpha, const std::vector<int8_t>& t) {
  double error = 0;
  for (size_t i = 0; i < w.size(); ++i) {
    error += d[i] * (w[i] - alpha * t[i]) * (w[i] - alpha * t[i]);
  }
  return error;
}

// The least error over all T with the signs of w, each with its best alpha.
double LeastWeightedError(const std::vector<float>& w,
                          const std::vector<float>& d) {
  double least = std::numeric_limits<double>::infinity();
  for (int kept = 0; kept < 1 << w.size(); ++kept) {
    std::vector<int8_t> t(w.size());
    double magnitude = 0, weight = 0;
    for (size_t i = 0; i < w.size(); ++i) {
      if ((kept >> i & 1) == 0) continue;
      t[i] = w[i] > 0 ? 1 : -1;
      magnitude += d[i] * std::fabs(w[i]);
      weight += d[i];
    }
    const double alpha = weight == 0 ? 0 : magnitude / weight;
    least = std::min(least, WeightedError(w, d, alpha, t));
  }
  return least;
}

TEST(TernarizeLatTest, EqualsTheSolutionByHand) {
  // TWN keeps 3 and -1.1 (delta = 0.7 * 4.5 / 3 = 1.05). Weighted alpha is
  // (1 * 3 + 9 * 1.1) / 10 = 1.29, so 0.4 stays out and the others in.
  const std::vector<float> w = {3.0f, -1.1f, 0.4f};
  const std::vector<float> d = {1.0f, 9.0f, 1.0f};
  std::vector<int8_t> t(w.size());
  const float alpha = TernarizeLat(w.data(), d.data(), w.size(), t.data());
  EXPECT_THAT(t, ElementsAre(1, -1, 0));
  EXPECT_FLOAT_EQ(alpha, (1 * 3.0f + 9 * 1.1f) / 10);
}

TEST(TernarizeLatTest, IsAFixedPointNoWorseThanTwnAndSeldomWorseThanTheBest) {
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  std::uniform_real_distribution<float> uniform(0.01f, 1.0f);
  constexpr int kTrials = 300;
  int optimal = 0;
  for (int trial = 0; trial < kTrials; ++trial) {
    std::vector<float> w(1 + trial % 10), d(w.size());
    for (float& v : w) v = normal(random);
    for (float& v : d) v = uniform(random);
    std::vector<int8_t> t(w.size()), twn(w.size());
    const float alpha = TernarizeLat(w.data(), d.data(), w.size(), t.data());
    const float twn_alpha = TernarizeTwn(w.data(), w.size(), twn.data());

    double magnitude = 0, weight = 0;
    for (size_t i = 0; i < w.size(); ++i) {
      EXPECT_EQ(t[i] != 0, std::fabs(w[i]) > alpha / 2) << i;
      EXPECT_EQ(t[i] * w[i] >= 0, true) << i;
      magnitude += t[i] == 0 ? 0 : d[i] * std::fabs(w[i]);
      weight += t[i] == 0 ? 0 : d[i];
    }
    // alpha is rounded to float once.
    EXPECT_NEAR(alpha, magnitude / weight, 1e-6 * alpha);
    const double error = WeightedError(w, d, alpha, t);
    EXPECT_LE(error, WeightedError(w, d, twn_alpha, twn) + 1e-6);
    const double least = LeastWeightedError(w, d);
    EXPECT_GE(error, least - 1e-6);
    optimal += error <= least + 1e-6;
  }
  // Alternating finds a local minimum; brute force says how often the global.
  EXPECT_GE(optimal, kTrials * 3 / 4);
}

TEST(TernarizeLatTest, EqualCurvatureKeepsWhatMinimizesThePlainError) {
  const std::vector<float> w = {1.0f, 0.9f, -0.45f, 0.1f};
  const std::vector<float> d(w.size(), 0.25f);
  std::vector<int8_t> t(w.size());
  const float alpha = TernarizeLat(w.data(), d.data(), w.size(), t.data());
  // From TWN's {1, 1, -1, 0}: alpha = 2.35 / 3, half of which is under 0.45.
  EXPECT_THAT(t, ElementsAre(1, 1, -1, 0));
  EXPECT_FLOAT_EQ(alpha, 2.35f / 3);
}

TEST(TernarizeLatTest, ZerosStayZeros) {
  const std::vector<float> w(5, 0.0f), d(5, 1.0f);
  std::vector<int8_t> t(w.size(), 1);
  EXPECT_EQ(TernarizeLat(w.data(), d.data(), w.size(), t.data()), 0.0f);
  EXPECT_THAT(t, Each(0));
}

}  // namespace
}  // namespace tern

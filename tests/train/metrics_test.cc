#include "train/metrics.h"

#include <vector>

#include "gtest/gtest.h"

namespace tern {
namespace {

// Four true positives, one false positive, two false negatives, three true
// negatives.
const std::vector<float> kPredicted = {1, 1, 1, 1, 1, 0, 0, 0, 0, 0};
const std::vector<float> kTruth = {1, 1, 1, 1, 0, 1, 1, 0, 0, 0};

TEST(MetricsTest, AccuracyIsTheShareOfEqualLabels) {
  EXPECT_DOUBLE_EQ(ComputeMetric(Metric::kAccuracy, kPredicted, kTruth), 0.7);
  const std::vector<float> other = {2, 0, 1};
  const std::vector<float> truth = {2, 1, 1};
  EXPECT_DOUBLE_EQ(ComputeMetric(Metric::kAccuracy, other, truth), 2.0 / 3);
}

TEST(MetricsTest, F1IsOfLabelOne) {
  // 2 * 4 / (2 * 4 + 1 + 2)
  EXPECT_DOUBLE_EQ(ComputeMetric(Metric::kF1, kPredicted, kTruth), 8.0 / 11);
}

TEST(MetricsTest, MatthewsIsComputedByHand) {
  // (4 * 3 - 1 * 2) / sqrt(5 * 6 * 4 * 5) = 10 / sqrt(600)
  EXPECT_NEAR(ComputeMetric(Metric::kMatthews, kPredicted, kTruth),
              0.408248290464, 1e-12);
}

TEST(MetricsTest, MatthewsOfAConstantIsZero) {
  const std::vector<float> constant(kTruth.size(), 1);
  EXPECT_EQ(ComputeMetric(Metric::kMatthews, constant, kTruth), 0);
}

TEST(MetricsTest, PearsonIsComputedByHand) {
  // Deviations -1.5 -0.5 0.5 1.5 and -2 0 -1 3: 7 / sqrt(5 * 14).
  const std::vector<float> x = {1, 2, 3, 4};
  const std::vector<float> y = {1, 3, 2, 6};
  EXPECT_NEAR(ComputeMetric(Metric::kPearson, x, y), 0.836660026534, 1e-12);
}

TEST(MetricsTest, SpearmanSharesRanksAmongTies) {
  // Ranks 0 1 2 3 and 0 1.5 1.5 3: 4.5 / sqrt(5 * 4.5).
  const std::vector<float> x = {10, 20, 30, 400};
  const std::vector<float> y = {-5, 7, 7, 8};
  EXPECT_NEAR(ComputeMetric(Metric::kSpearman, x, y), 0.948683298051, 1e-12);
}

TEST(MetricsTest, SpearmanSeesOrderOnly) {
  const std::vector<float> x = {1, 2, 3, 4, 5};
  const std::vector<float> y = {1, 10, 100, 1000, 10000};
  EXPECT_DOUBLE_EQ(ComputeMetric(Metric::kSpearman, x, y), 1);
  EXPECT_LT(ComputeMetric(Metric::kPearson, x, y), 0.9);
}

}  // namespace
}  // namespace tern

#include "server/classify.h"

#include <cmath>
#include <vector>

#include "gtest/gtest.h"

namespace tern {
namespace {

TEST(ClassifyTest, SingleLabelScoresAreASoftmaxBestFirst) {
  const std::vector<float> logits = {0, std::log(3.0f), std::log(4.0f)};

  const auto labels = RankLabels(Task::kSingleLabel, logits, 0);

  ASSERT_EQ(labels.size(), 3u);
  EXPECT_EQ(labels[0].index, 2);
  EXPECT_FLOAT_EQ(labels[0].score, 0.5f);
  EXPECT_EQ(labels[1].index, 1);
  EXPECT_FLOAT_EQ(labels[1].score, 0.375f);
  EXPECT_FLOAT_EQ(labels[2].score, 0.125f);
}

TEST(ClassifyTest, SingleLabelSurvivesHugeLogits) {
  const auto labels =
      RankLabels(Task::kSingleLabel, std::vector<float>{-3e38f, 3e38f}, 0);

  EXPECT_EQ(labels[0].index, 1);
  EXPECT_EQ(labels[0].score, 1);
  EXPECT_EQ(labels[1].score, 0);
}

TEST(ClassifyTest, MultiLabelScoresAreSigmoidsOfEach) {
  const auto labels = RankLabels(Task::kMultiLabel,
                                 std::vector<float>{0, std::log(3.0f), 200}, 0);

  EXPECT_EQ(labels[0].index, 2);
  EXPECT_FLOAT_EQ(labels[0].score, 1);
  EXPECT_FLOAT_EQ(labels[1].score, 0.75f);
  EXPECT_FLOAT_EQ(labels[2].score, 0.5f);
}

TEST(ClassifyTest, ScoresThatSaturateAreRankedByLogit) {
  const auto labels =
      RankLabels(Task::kMultiLabel, std::vector<float>{100, 200, 150}, 0);

  EXPECT_EQ(labels[0].index, 1);
  EXPECT_EQ(labels[1].index, 2);
  EXPECT_EQ(labels[2].index, 0);
}

TEST(ClassifyTest, RegressionScoreIsTheLogit) {
  const auto labels =
      RankLabels(Task::kRegression, std::vector<float>{-2.5f}, 0);

  ASSERT_EQ(labels.size(), 1u);
  EXPECT_EQ(labels[0].score, -2.5f);
}

TEST(ClassifyTest, TopKCutsTheListAndMoreThanAllIsAll) {
  const std::vector<float> logits = {1, 2, 2};

  const auto two = RankLabels(Task::kSingleLabel, logits, 2);

  ASSERT_EQ(two.size(), 2u);
  EXPECT_EQ(two[0].index, 1);  // equal ones by index
  EXPECT_EQ(two[1].index, 2);
  EXPECT_EQ(RankLabels(Task::kSingleLabel, logits, 9).size(), 3u);
}

}  // namespace
}  // namespace tern

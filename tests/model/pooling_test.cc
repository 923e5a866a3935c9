#include "model/pooling.h"

#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tern {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatEq;

std::vector<float> Pool(Pooling pooling, const std::vector<float>& x,
                        int tokens) {
  const int k = static_cast<int>(x.size()) / tokens;
  std::vector<float> y(k);
  PoolTokens(pooling, x.data(), tokens, k, y.data());
  return y;
}

TEST(PoolingTest, PoolsTheColumnsOfASequence) {
  const std::vector<float> x = {1, -2, 3,  //
                                4, -5, 0,  //
                                1, -8, 3};
  EXPECT_THAT(Pool(Pooling::kMean, x, 3), ElementsAre(2, -5, 2));
  EXPECT_THAT(Pool(Pooling::kFirstToken, x, 3), ElementsAre(1, -2, 3));
  EXPECT_THAT(Pool(Pooling::kMax, x, 3), ElementsAre(4, -2, 3));
}

TEST(PoolingTest, OneTokenIsItsOwnEmbedding) {
  for (const Pooling pooling :
       {Pooling::kMean, Pooling::kFirstToken, Pooling::kMax}) {
    EXPECT_THAT(Pool(pooling, {0.1f, -7}, 1), ElementsAre(0.1f, -7));
  }
}

TEST(NormalizeEmbeddingTest, ScalesToLengthOne) {
  std::vector<float> y = {3, -4};
  NormalizeEmbedding(absl::MakeSpan(y));
  EXPECT_THAT(y, ElementsAre(0.6f, -0.8f));
}

TEST(NormalizeEmbeddingTest, LeavesZeroAsItIs) {
  std::vector<float> y = {0, 0};
  NormalizeEmbedding(absl::MakeSpan(y));
  EXPECT_THAT(y, ElementsAre(0, 0));
}

TEST(NormalizeEmbeddingTest, TakesValuesWhoseSquaresAreNoFloats) {
  std::vector<float> y = {3e30f, 4e30f};
  NormalizeEmbedding(absl::MakeSpan(y));
  EXPECT_THAT(y, ElementsAre(FloatEq(0.6f), FloatEq(0.8f)));
}

}  // namespace
}  // namespace tern

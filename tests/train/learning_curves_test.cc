#include "train/learning_curves.h"

#include <fstream>
#include <sstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tern {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string Plot(const std::string& log) {
  const std::string folder =
      testing::TempDir() +
      testing::UnitTest::GetInstance()->current_test_info()->name();
  std::ofstream(folder + ".jsonl") << log;
  const absl::Status status = PlotLearningCurves(
      folder + ".jsonl", "a run & <its> title", folder + ".svg");
  EXPECT_TRUE(status.ok()) << status;
  std::stringstream text;
  text << std::ifstream(folder + ".svg").rdbuf();
  return text.str();
}

TEST(LearningCurvesTest, DrawsLossesAndMetricsAtTheirSteps) {
  const std::string svg = Plot(
      R"({"event":"start","step":0}
{"event":"step","step":1,"loss":3.0}
{"event":"step","step":2,"loss":1.0}
{"event":"evaluate","step":2,"metrics":{"f1":0.5,"accuracy":0.75}}
{"event":"step","step":3,"lo)");
  // The first panel reaches from x = 60 to 440 and from y = 60 to 340.
  EXPECT_THAT(svg, HasSubstr("points='250.0,60.0 440.0,340.0 '"));
  // The second from x = 510 to 890; one dot of each metric.
  EXPECT_THAT(svg, HasSubstr("<circle cx='890.0' cy='60.0'"));
  EXPECT_THAT(svg, HasSubstr("<circle cx='890.0' cy='340.0'"));
  EXPECT_THAT(svg, HasSubstr("step 2: 0.7500"));
  EXPECT_THAT(svg, HasSubstr(">f1</text>"));
  EXPECT_THAT(svg, HasSubstr("a run &amp; &lt;its> title"));
}

TEST(LearningCurvesTest, MetricsThatDifferByRoundingHaveAnAxis) {
  const std::string svg = Plot(
      R"({"event":"evaluate","step":2,"metrics":{"pearson":0.9999999999999998,"spearman":1}}
)");
  EXPECT_THAT(svg, HasSubstr("</svg>"));
  EXPECT_LT(svg.size(), 10'000u);
}

TEST(LearningCurvesTest, ALogWithoutStepsGivesEmptyAxes) {
  const std::string svg = Plot("");
  EXPECT_THAT(svg, HasSubstr("</svg>"));
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
  EXPECT_THAT(svg, Not(HasSubstr("inf")));
}

TEST(LearningCurvesTest, AMissingLogIsNamed) {
  EXPECT_THAT(std::string(PlotLearningCurves("no/log", "", "x").message()),
              HasSubstr("no/log"));
}

}  // namespace
}  // namespace tern

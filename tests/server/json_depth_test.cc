#include "server/json_depth.h"

#include <gtest/gtest.h>

#include <string>

namespace tern {
namespace {

TEST(JsonDepthTest, BoundsArraysAndObjectsInOneAnother) {
  const std::string most(kMaxJsonLevels, '[');
  EXPECT_EQ(CheckJsonDepth(most), absl::OkStatus());
  EXPECT_EQ(CheckJsonDepth(most + "]["), absl::OkStatus());
  EXPECT_EQ(CheckJsonDepth(most + "{").message(),
            "body: expected at most 32 levels of arrays and objects, found "
            "more");
}

TEST(JsonDepthTest, LooksPastStrings) {
  const std::string many(100, '[');
  EXPECT_EQ(CheckJsonDepth("[\"" + many + "\"]"), absl::OkStatus());
  EXPECT_EQ(CheckJsonDepth("[\"\\\"" + many + "\"]"), absl::OkStatus());
  EXPECT_FALSE(CheckJsonDepth("[\"\\\\\"" + many).ok());
  EXPECT_EQ(CheckJsonDepth("\"\\"), absl::OkStatus());
}

}  // namespace
}  // namespace tern

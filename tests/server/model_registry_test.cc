#include "server/model_registry.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/running_server.h"

namespace tern {
namespace {

using ::testing::HasSubstr;

std::shared_ptr<const ServedModel> Load(const std::string& name,
                                        const std::string& version,
                                        const std::string& folder) {
  auto model = LoadServedModel(
      {.name = name, .version = version, .folder = TinyFolder(folder)}, true);
  EXPECT_TRUE(model.ok()) << model.status();
  return *model;
}

TEST(ModelRegistryTest, FindsByNameAndVersionAndTheNewestWithoutOne) {
  ModelRegistry registry;
  for (const char* version : {"2", "10", "9"}) {
    ASSERT_TRUE(registry.Add(Load("a", version, "classifier")).ok());
  }

  EXPECT_EQ((*registry.Find("a", "9"))->version, "9");
  EXPECT_EQ((*registry.Find("a", ""))->version, "10");
  ASSERT_EQ(registry.All().size(), 3u);
  EXPECT_EQ(registry.All()[0]->version, "2");
}

TEST(ModelRegistryTest, AnUnknownModelIsAnErrorThatListsTheServed) {
  ModelRegistry registry;
  EXPECT_THAT(std::string(registry.Find("x", "").status().message()),
              HasSubstr("served: none"));
  ASSERT_TRUE(registry.Add(Load("a", "1", "classifier")).ok());
  ASSERT_TRUE(registry.Add(Load("b", "1", "classifier")).ok());

  EXPECT_EQ(registry.Find("x", "").status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(registry.Find("x", "").status().message()),
              HasSubstr("no model 'x' is served; served: a, b"));
  EXPECT_THAT(std::string(registry.Find("a", "7").status().message()),
              HasSubstr("no version '7'; served: 1"));
}

TEST(ModelRegistryTest, AnEmptyNameIsTheOneModelOfThatUse) {
  ModelRegistry registry;
  EXPECT_EQ(registry.FindFor(ModelUse::kAnswer, "", "").status().code(),
            absl::StatusCode::kNotFound);
  ASSERT_TRUE(registry.Add(Load("c", "1", "classifier")).ok());
  ASSERT_TRUE(registry.Add(Load("q", "1", "answerer")).ok());

  EXPECT_EQ((*registry.FindFor(ModelUse::kClassify, "", ""))->name, "c");
  EXPECT_EQ((*registry.FindFor(ModelUse::kAnswer, "", ""))->name, "q");
  ASSERT_TRUE(registry.Add(Load("d", "1", "classifier")).ok());
  EXPECT_THAT(
      std::string(
          registry.FindFor(ModelUse::kClassify, "", "").status().message()),
      HasSubstr("c, d"));
}

TEST(ModelRegistryTest, AModelOfAnotherTaskIsRefused) {
  ModelRegistry registry;
  ASSERT_TRUE(registry.Add(Load("c", "1", "classifier")).ok());

  EXPECT_EQ(registry.FindFor(ModelUse::kAnswer, "c", "").status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(ModelRegistryTest, TheSameVersionTwiceIsAnError) {
  ModelRegistry registry;
  ASSERT_TRUE(registry.Add(Load("a", "1", "classifier")).ok());

  EXPECT_EQ(registry.Add(Load("a", "1", "classifier")).code(),
            absl::StatusCode::kAlreadyExists);
}

TEST(ModelRegistryTest, ALoadErrorNamesTheModel) {
  const auto model =
      LoadServedModel({.name = "ghost", .folder = "no/such/folder"}, true);

  EXPECT_EQ(model.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(model.status().message()),
              HasSubstr("model 'ghost'"));
}

}  // namespace
}  // namespace tern

#include "kernels/variant.h"

#include <cstdlib>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tern {
namespace {

using ::testing::HasSubstr;

// Sets TERN_FORCE_VARIANT for one test and puts it back.
class VariantTest : public testing::Test {
 protected:
  VariantTest() {
    const char* const old = std::getenv("TERN_FORCE_VARIANT");
    if (old != nullptr) old_ = old;
    had_ = old != nullptr;
    unsetenv("TERN_FORCE_VARIANT");
  }
  ~VariantTest() override {
    if (had_) {
      setenv("TERN_FORCE_VARIANT", old_.c_str(), 1);
    } else {
      unsetenv("TERN_FORCE_VARIANT");
    }
  }

 private:
  bool had_ = false;
  std::string old_;
};

TEST_F(VariantTest, ListsEveryLineOfKernelsIncBestFirst) {
  const std::vector<absl::string_view> lines = {
#define TERN_VARIANT(isa, row_isa) #isa,
#include "kernels/kernels.inc"
#undef TERN_VARIANT
  };
  std::vector<absl::string_view> names;
  for (const Variant* variant : AllVariants()) names.push_back(variant->name);
  EXPECT_EQ(names, lines);
  EXPECT_EQ(names.back(), "scalar");
}

TEST_F(VariantTest, ChoosesTheFirstThatThisMachineSupports) {
  const absl::StatusOr<const Variant*> chosen = ChooseVariant();
  ASSERT_TRUE(chosen.ok()) << chosen.status();
  EXPECT_TRUE((*chosen)->supported());
  for (const Variant* variant : AllVariants()) {
    if (variant == *chosen) break;
    EXPECT_FALSE(variant->supported()) << variant->name;
  }
}

// The variant whose row kernels a line of kernels.inc names.
absl::string_view RowIsa(absl::string_view isa) {
#define TERN_VARIANT(name, row_isa) \
  if (isa == #name) return #row_isa;
#include "kernels/kernels.inc"
#undef TERN_VARIANT
  return "";
}

TEST_F(VariantTest, ForcedVariantIsTheOneThatRuns) {
  // A table holds the functions that its line names only, so calling the chosen
  // table runs the forced code if no other line's functions are the same.
  for (const Variant* forced : AllVariants()) {
    if (!forced->supported()) continue;
    setenv("TERN_FORCE_VARIANT", forced->name, 1);
    const absl::StatusOr<const Variant*> chosen = ChooseVariant();
    ASSERT_TRUE(chosen.ok()) << chosen.status();
    EXPECT_STREQ((*chosen)->name, forced->name);
    for (const Variant* other : AllVariants()) {
      if (other == forced) continue;
      const bool same_rows = RowIsa(other->name) == RowIsa(forced->name);
      EXPECT_NE((*chosen)->ternary_gemm, other->ternary_gemm);
      EXPECT_NE((*chosen)->attention_int8, other->attention_int8);
      EXPECT_EQ((*chosen)->quantize_rows == other->quantize_rows, same_rows);
      EXPECT_EQ((*chosen)->attention_fp32 == other->attention_fp32, same_rows);
    }
  }
}

TEST_F(VariantTest, NameGivenToTheCallWinsOverTheEnvironment) {
  setenv("TERN_FORCE_VARIANT", "no such variant", 1);
  const absl::StatusOr<const Variant*> chosen = ChooseVariant("scalar");
  ASSERT_TRUE(chosen.ok()) << chosen.status();
  EXPECT_STREQ((*chosen)->name, "scalar");
}

TEST_F(VariantTest, UnknownNameIsNotFoundAndListsWhatThereIs) {
  const absl::Status status = ChooseVariant("sse9").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(status.message(), HasSubstr("'sse9'"));
  EXPECT_THAT(status.message(), HasSubstr("scalar"));
}

TEST_F(VariantTest, VariantThatTheMachineLacksIsAFailedPrecondition) {
  for (const Variant* variant : AllVariants()) {
    if (variant->supported()) continue;
    EXPECT_EQ(ChooseVariant(variant->name).status().code(),
              absl::StatusCode::kFailedPrecondition);
  }
}

}  // namespace
}  // namespace tern

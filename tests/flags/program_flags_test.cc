#include "flags/program_flags.h"

#include <cstdint>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/reflection.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

ABSL_FLAG(std::string, out_folder, "", "where results go");
ABSL_FLAG(int, epochs, 3, "passes over the training file");
ABSL_FLAG(double, rate, 0.5, "how fast");
ABSL_FLAG(
    bool, plot, false,
    "draw something whose explanation takes more words than there is room "
    "for in one line of a terminal");
ABSL_FLAG(absl::Duration, interval, absl::Seconds(2), "time between two");

namespace tern {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pair;
using ::testing::SizeIs;

// Flags are global; each test finds them at their defaults.
class ProgramFlagsTest : public ::testing::Test {
 protected:
  absl::StatusOr<ParsedFlags> Parse(std::vector<absl::string_view> arguments) {
    return flags_.Parse(arguments);
  }
  std::string ErrorOf(std::vector<absl::string_view> arguments) {
    const auto parsed = flags_.Parse(arguments);
    return parsed.ok() ? "" : std::string(parsed.status().message());
  }

  const ProgramFlags flags_{"epochs"};

 private:
  absl::FlagSaver saver_;
};

TEST_F(ProgramFlagsTest, SetsFlagsAmongWords) {
  const auto parsed = Parse({"train", "--out-folder=a=b", "--epochs", "7",
                             "--plot", "here", "--interval=1m"});

  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_THAT(parsed->words, ElementsAre("train", "here"));
  EXPECT_EQ(absl::GetFlag(FLAGS_out_folder), "a=b");
  EXPECT_EQ(absl::GetFlag(FLAGS_epochs), 7);
  EXPECT_TRUE(absl::GetFlag(FLAGS_plot));
  EXPECT_EQ(absl::GetFlag(FLAGS_interval), absl::Minutes(1));
}

TEST_F(ProgramFlagsTest, TellsARepeatedFlagEachTime) {
  const auto parsed = Parse({"--out_folder=a", "--out-folder", "b"});

  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_THAT(parsed->flags,
              ElementsAre(Pair("out_folder", "a"), Pair("out_folder", "b")));
}

TEST_F(ProgramFlagsTest, ABoolIsSwitchedOffByNo) {
  ASSERT_TRUE(Parse({"--plot=true", "--noplot"}).ok());
  EXPECT_FALSE(absl::GetFlag(FLAGS_plot));

  EXPECT_EQ(ErrorOf({"--noepochs"}),
            "--noepochs: no such flag; see --help for those there are");
}

TEST_F(ProgramFlagsTest, TwoDashesEndTheFlags) {
  const auto parsed = Parse({"--plot", "--", "--epochs", "-h"});

  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_THAT(parsed->words, ElementsAre("--epochs", "-h"));
  EXPECT_THAT(parsed->flags, SizeIs(1));
}

TEST_F(ProgramFlagsTest, NamesTheFlagWhatWasExpectedAndWhatWasFound) {
  EXPECT_EQ(ErrorOf({"--bogus"}),
            "--bogus: no such flag; see --help for those there are");
  EXPECT_EQ(ErrorOf({"--epochs=many"}),
            "--epochs: expected an integer, found 'many'");
  EXPECT_EQ(ErrorOf({"--rate", "x"}), "--rate: expected a number, found 'x'");
  EXPECT_EQ(ErrorOf({"--plot=7"}), "--plot: expected true or false, found '7'");
  EXPECT_EQ(ErrorOf({"--interval=2"}),
            "--interval: expected a duration such as 500ms or 2s, found '2'");
  EXPECT_EQ(ErrorOf({"--out-folder"}),
            "--out-folder: expected a text, found ''");
}

TEST_F(ProgramFlagsTest, FlagsOfLibrariesAreNoneOfTheProgram) {
  ASSERT_NE(absl::FindCommandLineFlag("of_a_library"), nullptr);

  EXPECT_EQ(ErrorOf({"--of-a-library"}),
            "--of-a-library: no such flag; see --help for those there are");
  EXPECT_THAT(flags_.Help(), Not(HasSubstr("of-a-library")));
}

TEST_F(ProgramFlagsTest, ReadsNothingAfterHelpAndVersion) {
  const auto help = Parse({"-h", "--bogus"});
  ASSERT_TRUE(help.ok()) << help.status();
  EXPECT_TRUE(help->help);

  const auto version = Parse({"word", "--version", "--bogus"});
  ASSERT_TRUE(version.ok()) << version.status();
  EXPECT_TRUE(version->version);
  EXPECT_FALSE(version->help);
}

TEST_F(ProgramFlagsTest, HelpHasEveryFlagItsDefaultAndNoLongLine) {
  const std::string help = flags_.Help();

  EXPECT_THAT(help, HasSubstr("  --epochs  (3)\n      passes over the"));
  EXPECT_THAT(help, HasSubstr("  --out-folder\n      where results go\n"));
  EXPECT_THAT(help, HasSubstr("  --interval  (2s)\n"));
  EXPECT_THAT(help, HasSubstr("      draw something"));
  for (const absl::string_view line : absl::StrSplit(help, '\n')) {
    EXPECT_LE(line.size(), 80u) << line;
  }
}

}  // namespace
}  // namespace tern

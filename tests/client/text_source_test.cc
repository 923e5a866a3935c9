#include "client/text_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <thread>

#include "absl/strings/str_cat.h"
#include "client/bulk_calls.h"
#include "client/utf8.h"

namespace tern {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// The reading end of a pipe into which `text` is written, and closed.
class Input {
 public:
  explicit Input(std::string text) {
    EXPECT_EQ(pipe(ends_), 0);
    writer_ = std::thread([this, text = std::move(text)] {
      EXPECT_EQ(write(ends_[1], text.data(), text.size()),
                static_cast<ssize_t>(text.size()));
      close(ends_[1]);
    });
  }
  ~Input() {
    writer_.join();
    close(ends_[0]);
  }
  int file_descriptor() const { return ends_[0]; }

 private:
  int ends_[2];
  std::thread writer_;
};

struct Found {
  std::vector<Text> texts;
  absl::Status end;  // OK at the end of the source
};

Found TakeAll(TextSource& source) {
  Found found;
  while (true) {
    Text text;
    const absl::StatusOr<bool> next = source.Next(text);
    if (!next.ok() || !*next) {
      found.end = next.status();
      return found;
    }
    found.texts.push_back(text);
  }
}

Found TakeLines(const std::string& lines, bool pairs = false) {
  Input input(lines);
  TextSource source({}, input.file_descriptor(), pairs);
  return TakeAll(source);
}

MATCHER_P(IsText, text, "") { return arg.text == text; }

TEST(TextSourceTest, ReadsALineATextWhateverEndsTheLine) {
  const Found found = TakeLines("one\ntwo\r\nthree");

  EXPECT_TRUE(found.end.ok());
  ASSERT_THAT(found.texts,
              ElementsAre(IsText("one"), IsText("two"), IsText("three")));
  EXPECT_EQ(found.texts[2].place, "line 3");
}

TEST(TextSourceTest, ReadsLinesLongerThanItsBlocks) {
  const std::string line(300000, 'x');

  const Found found = TakeLines(line + "\n" + line + "\n");

  EXPECT_TRUE(found.end.ok());
  EXPECT_THAT(found.texts, ElementsAre(IsText(line), IsText(line)));
}

TEST(TextSourceTest, RefusesALineWithoutBound) {
  const Found found = TakeLines(
      "ok\n" + std::string(InputLines::kMaxLineBytes + 1, 'x') + "\n");

  EXPECT_THAT(found.texts, ElementsAre(IsText("ok")));
  EXPECT_THAT(found.end.message(), HasSubstr("line 2 is longer than"));
}

TEST(TextSourceTest, NamesTheLineOfAnEmptyText) {
  const Found found = TakeLines("one\n\nthree\n");

  EXPECT_THAT(found.texts, ElementsAre(IsText("one")));
  EXPECT_EQ(found.end.message(), "line 2: text is empty");
}

TEST(TextSourceTest, NamesTheLineAndByteOfBadUtf8) {
  const Found found = TakeLines("one\nnai\xC3ve\n");

  EXPECT_EQ(found.end.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(found.end.message(),
            "line 2: text is not valid UTF-8 at byte 3 (0xC3)");
}

TEST(TextSourceTest, SplitsPairsAtTheTab) {
  const Found found = TakeLines("a man eats\tsomeone eats\n", /*pairs=*/true);

  ASSERT_THAT(found.texts, ElementsAre(IsText("a man eats")));
  EXPECT_EQ(found.texts[0].pair, "someone eats");
  EXPECT_THAT(TakeLines("no tab\n", true).end.message(),
              HasSubstr("line 1: with --pair"));
  EXPECT_THAT(TakeLines("a\tb\tc\n", true).end.message(),
              HasSubstr("line 1: with --pair"));
  EXPECT_EQ(TakeLines("a\t\n", true).end.message(),
            "line 1, second text: text is empty");
}

TEST(TextSourceTest, TakesArgumentsInTwosForPairs) {
  TextSource source({"a", "b", "c"}, -1, /*pairs=*/true);

  const Found found = TakeAll(source);

  ASSERT_THAT(found.texts, ElementsAre(IsText("a")));
  EXPECT_EQ(found.texts[0].pair, "b");
  EXPECT_THAT(found.end.message(),
              HasSubstr("argument 3: with --pair, texts come in twos"));
}

TEST(TextSourceTest, IsReadyOnlyWhereNothingIsAwaited) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  TextSource source({}, ends[0], /*pairs=*/false);
  EXPECT_FALSE(source.Ready());

  ASSERT_EQ(write(ends[1], "one\ntwo\n", 8), 8);
  Text text;
  EXPECT_TRUE(source.Ready());
  EXPECT_TRUE(source.Next(text).value());
  EXPECT_TRUE(source.Ready()) << "the second line is in memory";
  EXPECT_TRUE(source.Next(text).value());
  EXPECT_FALSE(source.Ready());

  close(ends[1]);
  EXPECT_TRUE(source.Ready()) << "the end is known without waiting";
  EXPECT_FALSE(source.Next(text).value());
  close(ends[0]);
}

TEST(Utf8Test, AcceptsExactlyTheWellFormedSequences) {
  // The first and last of each length, and around the surrogates.
  for (const char* good :
       {"", "abc", "\x7F", "\xC2\x80", "\xDF\xBF", "\xE0\xA0\x80",
        "\xED\x9F\xBF", "\xEE\x80\x80", "\xEF\xBF\xBF", "\xF0\x90\x80\x80",
        "\xF4\x8F\xBF\xBF"}) {
    EXPECT_EQ(FindInvalidUtf8(good), std::nullopt) << good;
  }
  for (const char* bad :
       {"\x80", "\xBF", "\xC0\x80", "\xC1\xBF", "\xC2", "\xC2\x41",
        "\xE0\x9F\xBF", "\xED\xA0\x80", "\xED\xBF\xBF", "\xE2\x82",
        "\xE2\x82\x41", "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80",
        "\xF0\x9F\x98", "\xFF"}) {
    EXPECT_EQ(FindInvalidUtf8(absl::StrCat("ab", bad)), 2u);
  }
}

TEST(BulkCallsTest, FindsTheInputThatAServerRefused) {
  EXPECT_EQ(RefusedInput("inputs[3].text: is empty"), 3u);
  EXPECT_EQ(RefusedInput("bad inputs[12].text_pair"), 12u);
  EXPECT_EQ(RefusedInput("model 'x' is not served"), std::nullopt);
  EXPECT_EQ(RefusedInput("inputs[x]"), std::nullopt);
  EXPECT_EQ(RefusedInput("inputs["), std::nullopt);
}

}  // namespace
}  // namespace tern

#include "tokenizer/short_words.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

namespace tern {
namespace {

EightBytes Pack(const std::string& text) {
  EightBytes bytes = 0;
  std::memcpy(&bytes, text.data(), std::min(text.size(), sizeof bytes));
  return bytes;
}

TEST(AsciiWordSizeTest, EndsAtEachByteThatIsNoLetterOrDigit) {
  for (int byte = 0; byte < 256; ++byte) {
    const bool is_word = byte < 0x80 && std::isalnum(byte);
    for (int at = 0; at < 8; ++at) {
      // Neighbours of all ones would show a carry.
      for (const char filler : {'0', 'z'}) {
        std::string text(8, filler);
        text[at] = static_cast<char>(byte);
        EXPECT_EQ(AsciiWordSize(Pack(text)), is_word ? 8 : at) << byte;
        std::fill(text.begin() + at + 1, text.end(), '\xFF');
        EXPECT_EQ(AsciiWordSize(Pack(text)), is_word ? at + 1 : at) << byte;
      }
    }
  }
}

TEST(ShortWordTableTest, FindsWordsByTheirFirstBytesOnly) {
  const ShortWordTable table(
      {{"a", 1}, {"the", 2}, {"abcdefgh", 3}, {"The", 4}});
  EXPECT_EQ(table.Find(Pack("a man is"), 1, false), 1);
  EXPECT_EQ(table.Find(Pack("the\xFF\xFF\xFF\xFF\xFF"), 3, false), 2);
  EXPECT_EQ(table.Find(Pack("thesis"), 6, false), -1);
  EXPECT_EQ(table.Find(Pack("abcdefgh"), 8, false), 3);
  EXPECT_EQ(table.Find(Pack("abcdefgh"), 7, false), -1);
  EXPECT_EQ(table.Find(Pack("The"), 3, false), 4);
  EXPECT_EQ(table.Find(Pack("THE"), 3, false), -1);
  EXPECT_EQ(table.Find(Pack("THE"), 3, true), 2);
}

TEST(ShortWordTableTest, TakesNoTokenThatIsNotAShortWord) {
  const ShortWordTable table(
      {{"", 1}, {"##a", 2}, {"abcdefghi", 3}, {"\xC3\xA9", 4}, {"!", 5}});
  EXPECT_EQ(table.Find(Pack("a"), 1, false), -1);
  EXPECT_EQ(table.Find(Pack("abcdefgh"), 8, false), -1);
  EXPECT_EQ(table.Find(Pack("!"), 1, false), -1);
}

TEST(ShortWordTableTest, FindsEachOfManyWords) {
  std::vector<std::pair<std::string, int32_t>> tokens;
  for (int i = 0; i < 20000; ++i) tokens.emplace_back(std::to_string(7 * i), i);
  const ShortWordTable table(tokens);
  for (int i = 0; i < 140000; ++i) {
    const std::string word = std::to_string(i);
    EXPECT_EQ(table.Find(Pack(word), word.size(), true),
              i % 7 == 0 ? i / 7 : -1);
  }
}

}  // namespace
}  // namespace tern

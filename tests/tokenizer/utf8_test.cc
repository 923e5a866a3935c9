#include "tokenizer/utf8.h"

#include <gtest/gtest.h>

#include <string>

namespace tern {
namespace {

constexpr size_t kValid = absl::string_view::npos;

TEST(Utf8Test, AcceptsExactlyTheScalarValues) {
  for (char32_t c = 0; c < 0x110000; ++c) {
    char bytes[4];
    const int size = EncodeUtf8(c, bytes);
    const bool is_surrogate = c >= 0xD800 && c < 0xE000;
    ASSERT_EQ(FindInvalidUtf8({bytes, static_cast<size_t>(size)}),
              is_surrogate ? 0 : kValid)
        << std::hex << static_cast<uint32_t>(c);
    int decoded_size = 0;
    ASSERT_EQ(DecodeUtf8(bytes, &decoded_size), c);
    ASSERT_EQ(decoded_size, size);
  }
}

TEST(Utf8Test, FindsWhereTheFirstIllFormedSequenceBegins) {
  const std::string ascii(20, 'a');
  for (const char* bad :
       {"\x80", "\xBF", "\xC0\x80", "\xC1\xBF",  // stray, overlong
        "\xC3", "\xC3(", "\xE4\xB8", "\xE4(\xAD", "\xE4\xB8(", "\xE0\x9F\xBF",
        "\xED\xA0\x80",                          // overlong, a surrogate
        "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80",  // overlong, too large
        "\xF0\x9F\x98", "\xF5\x80\x80\x80", "\xFE", "\xFF"}) {
    for (size_t before = 0; before <= ascii.size(); ++before) {
      EXPECT_EQ(FindInvalidUtf8(ascii.substr(0, before) + bad), before);
      EXPECT_EQ(
          FindInvalidUtf8(ascii.substr(0, before) + "\xC3\xA9" + bad + ascii),
          before + 2);
    }
  }
}

}  // namespace
}  // namespace tern

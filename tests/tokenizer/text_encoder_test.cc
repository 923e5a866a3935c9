// Hostile texts cost no more than their size: by counting allocated bytes.

#include "tokenizer/text_encoder.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <new>
#include <string>

namespace {
std::atomic<size_t> allocated_bytes = 0;
}  // namespace

// GCC takes the pair below for mismatched where it inlines only one of them.
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"

void* operator new(size_t bytes) {
  allocated_bytes += bytes;
  void* memory = std::malloc(bytes);
  if (memory == nullptr) std::abort();
  return memory;
}
// std::stable_sort's, which ends in the delete below as well.
void* operator new(size_t bytes, const std::nothrow_t&) noexcept {
  return operator new(bytes);
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }

namespace tern {
namespace {

constexpr size_t kMegabyte = 1 << 20;
// A token is 12 bytes and a text has at most one a byte; vectors double. A
// waiting mark of 2 bytes is kept twice, 12 bytes each, and its source, 8.
constexpr size_t kMaxAllocatedPerByte = 64;

std::string Repeat(const std::string& part, size_t bytes) {
  std::string text;
  while (text.size() + part.size() <= bytes) text.append(part);
  return text;
}

class TextEncoderTest : public testing::Test {
 protected:
  void SetUp() override {
    const std::filesystem::path path =
        std::filesystem::path(testing::TempDir()) / "tern_text_encoder.txt";
    // Pieces of which the longest never leads to the end of a word.
    std::ofstream(path) << "[UNK]\n[MASK]\na\n##a\n[\n"
                        << std::string(99, 'a') << "b\n##"
                        << std::string(98, 'a') << "b\n";
    auto vocabulary = Vocabulary::Load(path.string());
    ASSERT_TRUE(vocabulary.ok()) << vocabulary.status();
    auto special_tokens = SpecialTokens::Build({{"[MASK]", 1}});
    ASSERT_TRUE(special_tokens.ok());
    encoder_ = std::make_unique<TextEncoder>(*std::move(vocabulary),
                                             *std::move(special_tokens),
                                             NormalizationRules(), 0);
    std::filesystem::remove(path);
  }

  // The tokens of a megabyte of `part`, with bounded memory.
  Tokens EncodeMegabyteOf(const std::string& part) {
    const std::string text = Repeat(part, kMegabyte);
    Tokens tokens;
    const size_t before = allocated_bytes;
    encoder_->Append(text, text.size(), tokens);
    EXPECT_LT(allocated_bytes - before, kMaxAllocatedPerByte * text.size());
    return tokens;
  }

  std::unique_ptr<TextEncoder> encoder_;
};

TEST_F(TextEncoderTest, TakesOneWordOfAMegabyteForUnknown) {
  const Tokens tokens = EncodeMegabyteOf("a");
  ASSERT_EQ(tokens.size(), 1u);
  EXPECT_EQ(tokens.offsets[0], (TextSpan{0, kMegabyte}));
  EXPECT_EQ(EncodeMegabyteOf("\xC3\xA0").size(), 1u);
}

TEST_F(TextEncoderTest, SplitsWordsOfAHundredPieces) {
  EXPECT_EQ(EncodeMegabyteOf(std::string(100, 'a') + " ").size(),
            kMegabyte / 101 * 100);
}

TEST_F(TextEncoderTest, StripsAMegabyteOfMarks) {
  EXPECT_EQ(EncodeMegabyteOf("\xCC\x81").size(), 0u);
  EXPECT_EQ(EncodeMegabyteOf("\xCC\xA3\xCC\x81").size(), 0u);
}

TEST_F(TextEncoderTest, OrdersAMegabyteOfMarksThatAreKept) {
  // A tone mark (class 224) and a musical stem (class 216), in the wrong order.
  EXPECT_EQ(EncodeMegabyteOf("\xE3\x80\xAE\xF0\x9D\x85\xA5").size(), 1u);
}

TEST_F(TextEncoderTest, DropsAMegabyteOfControlCharacters) {
  EXPECT_EQ(EncodeMegabyteOf("\x01").size(), 0u);
  EXPECT_EQ(EncodeMegabyteOf("\xE2\x80\x8B").size(), 0u);
}

TEST_F(TextEncoderTest, SplitsAMegabyteOfIdeographsAndPunctuation) {
  EXPECT_EQ(EncodeMegabyteOf("\xE4\xB8\xAD").size(), kMegabyte / 3);
  EXPECT_EQ(EncodeMegabyteOf("!").size(), kMegabyte);
}

TEST_F(TextEncoderTest, SearchesAMegabyteOfAlmostSpecialTokens) {
  EXPECT_EQ(EncodeMegabyteOf("[MASK").size(), 2 * (kMegabyte / 5));
  EXPECT_EQ(EncodeMegabyteOf("[MASK]").size(), kMegabyte / 6);
}

TEST_F(TextEncoderTest, StopsOnceItHasEnough) {
  Tokens tokens;
  encoder_->Append(Repeat("a ", kMegabyte), 10, tokens);
  EXPECT_EQ(tokens.size(), 11u);
}

TEST(WordTest, KeepsNoMoreThanAHundredCharacters) {
  Word word;
  for (int i = 0; i < 1000; ++i) word.Append(U'\U0001F600', {4 * i, 4 * i + 4});
  EXPECT_TRUE(word.is_too_long());
  EXPECT_EQ(word.bytes().size(), 400u);
  EXPECT_EQ(word.source(), (TextSpan{0, 4000}));
}

}  // namespace
}  // namespace tern

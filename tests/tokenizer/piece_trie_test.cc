#include "tokenizer/piece_trie.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>

namespace tern {
namespace {

std::string RandomBytes(std::mt19937& random, int max_size) {
  std::string bytes(1 + random() % max_size, '\0');
  // Few letters, so that tokens share prefixes; zero and 255 are the edges.
  for (char& byte : bytes) byte = "\0a\x7F\x80\xFF"[random() % 5];
  return bytes;
}

TEST(PieceTrieTest, FindsEachTokenAndNothingElse) {
  std::mt19937 random(1);
  std::map<std::string, int32_t> id_of;
  for (int32_t id = 0; id < 3000; ++id) id_of[RandomBytes(random, 9)] = id;

  const auto trie = PieceTrie::Build({id_of.begin(), id_of.end()});

  ASSERT_TRUE(trie.ok()) << trie.status();
  for (const auto& [token, id] : id_of) {
    EXPECT_EQ(trie->Walk(token).token, id);
  }
  for (int i = 0; i < 30000; ++i) {
    const std::string bytes = RandomBytes(random, 9);
    const auto found = id_of.find(bytes);
    EXPECT_EQ(trie->Walk(bytes).token,
              found == id_of.end() ? -1 : found->second);
  }
}

TEST(PieceTrieTest, MatchesNothingWithoutTokens) {
  const auto trie = PieceTrie::Build({});
  ASSERT_TRUE(trie.ok());
  for (int byte = 0; byte < 256; ++byte) {
    EXPECT_EQ(trie->Step(trie->root(), byte), nullptr);
    EXPECT_EQ(trie->Step(PieceTrie::kNowhere, byte), nullptr);
  }
}

TEST(PieceTrieTest, StaysCompact) {
  // One chain per token and no shared prefix: as many cells as bytes at least.
  std::vector<std::pair<std::string, int32_t>> tokens;
  for (int i = 0; i < 256; ++i) {
    tokens.emplace_back(std::string(100, static_cast<char>(i)), i);
  }
  const auto trie = PieceTrie::Build(tokens);
  ASSERT_TRUE(trie.ok());
  EXPECT_LT(trie->cell_count(), 2 * 25600);
}

}  // namespace
}  // namespace tern

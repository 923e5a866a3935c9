// Counts and sums over all code points, taken from Hugging Face `tokenizers`
// 0.23.3: another ICU that would change a rule changes one of them.
// script/figures/tokenizer-parity compares each code point by itself.

#include "tokenizer/characters.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <ostream>

namespace tern {
namespace {

struct CodePointSet {
  int64_t count = 0;
  int64_t sum = 0;

  void Add(char32_t c) {
    ++count;
    sum += c;
  }
  friend bool operator==(const CodePointSet&, const CodePointSet&) = default;
  friend void PrintTo(const CodePointSet& set, std::ostream* out) {
    *out << set.count << " code points, sum " << set.sum;
  }
};

constexpr NormalizationRules kPlain = {
    .lowercase = false, .strip_accents = false, .split_ideographs = true};

// Calls f(code point, entry) for every Unicode scalar value.
template <typename F>
void ForEachCharacter(const NormalizationRules& rules, F f) {
  const CharacterTable table(rules);
  for (char32_t c = 0; c < 0x110000; ++c) {
    if (c >= 0xD800 && c < 0xE000) continue;
    CharacterTable::Storage storage;
    f(c, table.Find(c, storage));
  }
}

TEST(CharacterTableTest, KnowsWhatHuggingFaceDropsAndSplitsAt) {
  CodePointSet dropped, spaces, ideographs, punctuation;
  ForEachCharacter(kPlain, [&](char32_t c, const CharacterTable::Entry& entry) {
    if (entry.kind == CharacterKind::kDropped) return dropped.Add(c);
    if (entry.kind == CharacterKind::kSpace) return spaces.Add(c);
    if (entry.kind == CharacterKind::kIdeograph) ideographs.Add(c);
    if (entry.normals[0].is_punctuation) punctuation.Add(c);
  });
  EXPECT_EQ(dropped, (CodePointSet{137681, 137913084793}));
  EXPECT_EQ(spaces, (CodePointSet{22, 141430}));
  EXPECT_EQ(ideographs, (CodePointSet{81264, 9171601864}));
  EXPECT_EQ(punctuation, (CodePointSet{726, 20675981}));
}

TEST(CharacterTableTest, LowersCaseAsHuggingFace) {
  NormalizationRules rules = kPlain;
  rules.lowercase = true;
  CodePointSet changed, lower;
  ForEachCharacter(rules, [&](char32_t c, const CharacterTable::Entry& entry) {
    if (entry.normal_count == 0 || entry.normals[0].code_point == c) return;
    changed.Add(c);
    for (int i = 0; i < entry.normal_count; ++i) {
      lower.Add(entry.normals[i].code_point);
    }
  });
  EXPECT_EQ(changed, (CodePointSet{1488, 36394052}));
  // One more: U+0130 has two.
  EXPECT_EQ(lower, (CodePointSet{1489, 39003168}));
}

TEST(CharacterTableTest, DecomposesAndStripsAsHuggingFace) {
  NormalizationRules rules = kPlain;
  rules.strip_accents = true;
  CodePointSet decomposed, stripped;
  int64_t sum_of_parts = 0;
  ForEachCharacter(rules, [&](char32_t c, const CharacterTable::Entry& entry) {
    if (entry.normal_count == 0) return;
    bool is_stripped = true;
    for (int i = 0; i < entry.normal_count; ++i) {
      is_stripped &= entry.normals[i].is_stripped;
    }
    if (is_stripped) stripped.Add(c);
    if (entry.normals[0].code_point == c) return;
    decomposed.Add(c);
    for (int i = 0; i < entry.normal_count; ++i) {
      sum_of_parts += entry.normals[i].code_point;
    }
  });
  EXPECT_EQ(stripped, (CodePointSet{1567, 262554314}));
  // NFD changes two more, U+2000 and U+2001, but as spaces they are none of
  // its business here.
  EXPECT_EQ(decomposed, (CodePointSet{13232 - 2, 699342306 - 0x2000 - 0x2001}));
  EXPECT_EQ(sum_of_parts, 199024048 - 0x2002 - 0x2003);
}

}  // namespace
}  // namespace tern

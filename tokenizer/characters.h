// What BERT's normalization does to each single code point.
//
// Hugging Face's `tokenizers` composes its rules from several Unicode tables of
// different ages; the same answers are given here from ICU's one table and the
// age of each code point (docs/tokenizer.md). Code points of the Basic
// Multilingual Plane are looked up, rarer ones are worked out when met.
//
// Thread-safe: constant after construction.

#ifndef TERN_TOKENIZER_CHARACTERS_H_
#define TERN_TOKENIZER_CHARACTERS_H_

#include <cstdint>
#include <vector>

namespace tern {

struct NormalizationRules {
  bool lowercase = true;
  bool strip_accents = true;     // decompose (NFD), then drop non-spacing marks
  bool split_ideographs = true;  // each Chinese character is a word
};

// A code point of the normalized text.
struct NormalCharacter {
  char32_t code_point;
  uint8_t combining_class;  // 0 for a starter; always 0 without NFD
  bool is_stripped;         // a mark that is dropped, once in its order
  bool is_punctuation;      // a word of its own
};

enum class CharacterKind : uint8_t {
  kPlain,      // becomes its normal characters
  kDropped,    // control characters, U+FFFD, private use: as if not there
  kSpace,      // separates words
  kIdeograph,  // becomes its normal characters, a word of their own
};

class CharacterTable {
 public:
  // No canonical decomposition is longer (UAX #15).
  static constexpr int kMaxNormalCharacters = 4;

  struct Entry {
    CharacterKind kind;
    int normal_count;
    const NormalCharacter* normals;
  };
  using Storage = NormalCharacter[kMaxNormalCharacters];

  explicit CharacterTable(const NormalizationRules& rules);

  // Describes `c`; the entry may point into `storage`.
  Entry Find(char32_t c, Storage& storage) const {
    if (c >= kTableSize) return Describe(c, storage);
    const Slot& slot = slots_[c];
    return {slot.kind, slot.normal_count, &normals_[slot.first_normal]};
  }

 private:
  static constexpr char32_t kTableSize = 0x10000;

  struct Slot {
    uint32_t first_normal;
    CharacterKind kind;
    uint8_t normal_count;
  };

  Entry Describe(char32_t c, Storage& storage) const;

  NormalizationRules rules_;
  std::vector<Slot> slots_;  // by code point, below kTableSize
  std::vector<NormalCharacter> normals_;
};

}  // namespace tern

#endif  // TERN_TOKENIZER_CHARACTERS_H_

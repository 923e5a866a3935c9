// Finds words that are tokens as they stand, without walking the trie.
//
// Most words of English text are such words of at most eight letters. Eight
// bytes fit a register: the end of the word, its lower case and its key take a
// few instructions, and the look-up one cache line, where the trie takes one
// per byte.
//
// Thread-safe: constant after construction.

#ifndef TERN_TOKENIZER_SHORT_WORDS_H_
#define TERN_TOKENIZER_SHORT_WORDS_H_

#include <bit>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace tern {

// The first byte of a text is the lowest of `EightBytes`.
static_assert(std::endian::native == std::endian::little);
using EightBytes = uint64_t;

// The number of ASCII letters and digits at the start of `text`, 0 to 8.
inline int AsciiWordSize(EightBytes text) {
  constexpr EightBytes kEach = 0x0101010101010101;
  constexpr EightBytes kHigh = 0x80 * kEach;
  // Bytes below 0x80 do not carry into their neighbours; the high bit of each
  // sum says whether the byte is at least the bound.
  const auto at_least = [](EightBytes bytes, unsigned char bound) {
    return bytes + (0x80 - bound) * kEach;
  };
  const EightBytes low = text & ~kHigh;
  const EightBytes letter = low | 0x20 * kEach;
  const EightBytes is_letter =
      at_least(letter, 'a') & ~at_least(letter, 'z' + 1);
  const EightBytes is_digit = at_least(low, '0') & ~at_least(low, '9' + 1);
  const EightBytes is_word = (is_letter | is_digit) & ~text & kHigh;
  return std::countr_zero(~is_word & kHigh) / 8;
}

class ShortWordTable {
 public:
  static constexpr int kMaxBytes = 8;

  // Takes those of `tokens` that are 1 to 8 ASCII letters and digits.
  explicit ShortWordTable(
      const std::vector<std::pair<std::string, int32_t>>& tokens);

  // The id of the word made of the first `size` (1 to 8) bytes of `text`, which
  // are ASCII letters and digits; in lower case if `lowercase`. -1 if none.
  int32_t Find(EightBytes text, int size, bool lowercase) const {
    // Sets the bit by which lower case differs; digits have it anyway.
    if (lowercase) text |= 0x2020202020202020;
    const EightBytes key = text & ~EightBytes{0} >> 8 * (kMaxBytes - size);
    for (uint64_t i = SlotOf(key);; i = (i + 1) & (slots_.size() - 1)) {
      if (slots_[i].key == key) return slots_[i].token;
      if (slots_[i].key == 0) return -1;
    }
  }

 private:
  struct Slot {
    EightBytes key = 0;  // 0: empty
    int32_t token = -1;
  };

  // Multiplicative hashing (Knuth): the top bits of the product.
  uint64_t SlotOf(EightBytes key) const {
    return key * 0x9E3779B97F4A7C15 >> shift_;
  }

  std::vector<Slot> slots_;  // a power of two, at most half full
  int shift_;
};

}  // namespace tern

#endif  // TERN_TOKENIZER_SHORT_WORDS_H_

#include "tokenizer/characters.h"

#include <unicode/uchar.h>
#include <unicode/unorm2.h>
#include <unicode/utf16.h>

#include <algorithm>

namespace tern {
namespace {

// The Unicode versions of the tables behind `tokenizers` 0.23: general
// categories from the crate unicode_categories, NFD from
// unicode-normalization-alignments, lower case from Rust's standard library
// (Unicode 17, newer than bookworm's ICU; see kNewLowercase).
constexpr int kCategoryVersion = 8;
constexpr int kDecompositionVersion = 9;

bool IsAssignedIn(char32_t c, int unicode_version) {
  UVersionInfo age;
  u_charAge(c, age);
  return age[0] != 0 && (age[0] < unicode_version ||
                         (age[0] == unicode_version && age[1] == 0));
}

// The general category of `c` in Unicode 8: a code point keeps its category
// for ever, but for six that were corrected later and touch our rules.
int8_t CategoryInUnicode8(char32_t c) {
  switch (c) {
    case 0x1734:  // Hanunoo sign pamudpod
      return U_NON_SPACING_MARK;
    case 0x166D:   // Canadian syllabics chi sign
    case 0x111C9:  // Sharada sandhi mark
      return U_OTHER_PUNCTUATION;
    case 0x1885:  // Mongolian letters Ali Gali baluda and three baluda
    case 0x1886:
      return U_OTHER_LETTER;
    case 0xA9BD:  // Javanese consonant sign keret
      return U_COMBINING_SPACING_MARK;
  }
  if (!IsAssignedIn(c, kCategoryVersion)) return U_UNASSIGNED;
  return u_charType(c);
}

// Unicode's "Other", without the unassigned; tabs and line ends count as space.
bool IsDropped(char32_t c) {
  if (c == '\t' || c == '\n' || c == '\r') return false;
  if (c == 0xFFFD) return true;
  const int8_t category = CategoryInUnicode8(c);
  return category == U_CONTROL_CHAR || category == U_FORMAT_CHAR ||
         category == U_PRIVATE_USE_CHAR;
}

bool IsIdeograph(char32_t c) {
  struct Range {
    char32_t first, last;
  };
  // As in Google's BERT; later blocks of ideographs are letters to it.
  constexpr Range kRanges[] = {
      {0x3400, 0x4DBF},   {0x4E00, 0x9FFF},   {0xF900, 0xFAFF},
      {0x20000, 0x2A6DF}, {0x2A700, 0x2B81F}, {0x2B920, 0x2CEAF},
      {0x2F800, 0x2FA1F},
  };
  return std::any_of(std::begin(kRanges), std::end(kRanges), [c](Range range) {
    return range.first <= c && c <= range.last;
  });
}

bool IsPunctuation(char32_t c) {
  if (c < 0x80) {
    // Every graphic character that is no letter or digit: "$" and "+" too.
    return c > ' ' && c < 0x7F && !(c >= '0' && c <= '9') &&
           !(c >= 'A' && c <= 'Z') && !(c >= 'a' && c <= 'z');
  }
  return (U_MASK(CategoryInUnicode8(c)) & U_GC_P_MASK) != 0;
}

// Lower case that came after Unicode 15: `first` to `last`, moved by
// `distance`.
struct NewLowercase {
  char32_t first, last;
  int distance;
};
constexpr NewLowercase kNewLowercase[] = {
    {0x1C89, 0x1C89, 1},  // Unicode 16
    {0xA7CB, 0xA7CB, 0x264 - 0xA7CB},
    {0xA7CC, 0xA7CC, 1},
    {0xA7DA, 0xA7DA, 1},
    {0xA7DC, 0xA7DC, 0x19B - 0xA7DC},
    {0x10D50, 0x10D65, 0x20},
    {0xA7CE, 0xA7CE, 1},  // Unicode 17
    {0xA7D2, 0xA7D2, 1},
    {0xA7D4, 0xA7D4, 1},
    {0x16EA0, 0x16EB8, 0x1B},
};

char32_t Lowercase(char32_t c) {
  for (const NewLowercase& entry : kNewLowercase) {
    if (entry.first <= c && c <= entry.last) return c + entry.distance;
  }
  return u_tolower(c);
}

// Appends code points to an entry's characters.
class Writer {
 public:
  Writer(const NormalizationRules& rules, CharacterTable::Storage& storage)
      : rules_(rules), storage_(storage) {}

  void Add(char32_t c) {
    const bool is_stripped =
        rules_.strip_accents && CategoryInUnicode8(c) == U_NON_SPACING_MARK;
    const bool is_ordered =
        rules_.strip_accents && IsAssignedIn(c, kDecompositionVersion);
    const uint8_t combining_class = is_ordered ? u_getCombiningClass(c) : 0;
    if (rules_.lowercase && c == kCapitalIWithDot) {
      // The one capital with a lower case of two code points.
      Put('i', 0, false);
      Put(kDotAbove, 0, false);
      return;
    }
    Put(rules_.lowercase ? Lowercase(c) : c, combining_class, is_stripped);
  }

  int count() const { return count_; }

 private:
  static constexpr char32_t kCapitalIWithDot = 0x130;
  static constexpr char32_t kDotAbove = 0x307;

  void Put(char32_t c, uint8_t combining_class, bool is_stripped) {
    storage_[count_++] = {c, combining_class, is_stripped, IsPunctuation(c)};
  }

  const NormalizationRules& rules_;
  CharacterTable::Storage& storage_;
  int count_ = 0;
};

// Writes the normal characters of `c`; returns how many.
int Normalize(char32_t c, const NormalizationRules& rules,
              CharacterTable::Storage& storage) {
  Writer writer(rules, storage);
  UErrorCode error = U_ZERO_ERROR;
  UChar units[2 * CharacterTable::kMaxNormalCharacters];
  int32_t unit_count = -1;
  if (rules.strip_accents && IsAssignedIn(c, kDecompositionVersion)) {
    // Fails only for want of ICU's own data, which is linked in.
    const UNormalizer2* nfd = unorm2_getNFDInstance(&error);
    unit_count =
        unorm2_getDecomposition(nfd, c, units, std::size(units), &error);
  }
  if (U_FAILURE(error) || unit_count < 0) {
    writer.Add(c);
    return writer.count();
  }
  for (int32_t i = 0; i < unit_count;) {
    UChar32 part;
    U16_NEXT(units, i, unit_count, part);
    writer.Add(part);
  }
  return writer.count();
}

}  // namespace

CharacterTable::CharacterTable(const NormalizationRules& rules)
    : rules_(rules), slots_(kTableSize) {
  normals_.reserve(kTableSize);
  for (char32_t c = 0; c < kTableSize; ++c) {
    Storage storage;
    const Entry entry = Describe(c, storage);
    slots_[c] = {static_cast<uint32_t>(normals_.size()), entry.kind,
                 static_cast<uint8_t>(entry.normal_count)};
    normals_.insert(normals_.end(), storage, storage + entry.normal_count);
  }
}

CharacterTable::Entry CharacterTable::Describe(char32_t c,
                                               Storage& storage) const {
  if (IsDropped(c)) return {CharacterKind::kDropped, 0, storage};
  if (u_isUWhiteSpace(c)) return {CharacterKind::kSpace, 0, storage};
  const CharacterKind kind = rules_.split_ideographs && IsIdeograph(c)
                                 ? CharacterKind::kIdeograph
                                 : CharacterKind::kPlain;
  return {kind, Normalize(c, rules_, storage), storage};
}

}  // namespace tern

// Turns one text into tokens, without [CLS], [SEP] or truncation.
//
// Special tokens are cut out of the raw text first. What lies between is read
// word by word: words of plain ASCII are matched where they stand, lower-cased
// on the fly; only stretches with other characters go through the Normalizer.
//
// Time is linear in the text: a word of more than 100 characters is unknown
// without a look, hence no byte is visited more than about 100 times.
//
// Thread-safe: constant after construction.

#ifndef TERN_TOKENIZER_TEXT_ENCODER_H_
#define TERN_TOKENIZER_TEXT_ENCODER_H_

#include <array>
#include <cstdint>
#include <vector>

#include "absl/strings/string_view.h"
#include "tokenizer/characters.h"
#include "tokenizer/normalizer.h"
#include "tokenizer/special_tokens.h"
#include "tokenizer/tokenizer.h"
#include "tokenizer/vocabulary.h"
#include "tokenizer/wordpiece.h"

namespace tern {

struct Tokens {
  std::vector<int32_t> ids;
  std::vector<TextSpan> offsets;

  size_t size() const { return ids.size(); }
  void Add(int32_t id, TextSpan offset) {
    ids.push_back(id);
    offsets.push_back(offset);
  }
  void Resize(size_t size) {
    ids.resize(size);
    offsets.resize(size);
  }
};

class TextEncoder {
 public:
  TextEncoder(Vocabulary vocabulary, SpecialTokens special_tokens,
              const NormalizationRules& rules, int32_t unknown_token);
  // Not copyable: members point at each other.
  TextEncoder(const TextEncoder&) = delete;
  TextEncoder& operator=(const TextEncoder&) = delete;

  // Appends the tokens of `text`, which is valid UTF-8 below 2 GiB. Stops early
  // once `tokens` holds more than `enough`.
  void Append(absl::string_view text, size_t enough, Tokens& tokens) const;

  const Vocabulary& vocabulary() const { return vocabulary_; }

 private:
  enum class ByteKind : uint8_t {
    kWord,         // an ASCII character that makes words
    kSpace,        // ASCII
    kPunctuation,  // ASCII
    kOther,        // not ASCII, or dropped: for the Normalizer
  };

  // Appends the words of text[span], which holds no special token.
  void AppendWords(absl::string_view text, TextSpan span, size_t enough,
                   Normalizer& normalizer, Tokens& tokens) const;
  // Appends the word that begins at `at` if it is a short one and a token.
  // Returns its size in bytes, or 0.
  int32_t AppendShortWord(absl::string_view text, int32_t at, int32_t end,
                          Tokens& tokens) const;
  void AppendAsciiWord(absl::string_view text, TextSpan span,
                       Tokens& tokens) const;
  void AppendNormalizedWord(const Word& word, Tokens& tokens) const;

  ByteKind KindOf(char byte) const {
    return byte_kinds_[static_cast<unsigned char>(byte)];
  }

  // Whether a word or a combining sequence must end before text[at].
  bool EndsStretch(absl::string_view text, int32_t at, int32_t end) const {
    return at == end || KindOf(text[at]) == ByteKind::kSpace ||
           KindOf(text[at]) == ByteKind::kPunctuation;
  }

  const Vocabulary vocabulary_;
  const SpecialTokens special_tokens_;
  const CharacterTable characters_;
  const WordPiece wordpiece_;
  const int32_t unknown_token_;
  const bool lowercase_;
  std::array<ByteKind, 256> byte_kinds_;
  ByteMap ascii_to_normal_;
  ByteMap identity_;
};

}  // namespace tern

#endif  // TERN_TOKENIZER_TEXT_ENCODER_H_

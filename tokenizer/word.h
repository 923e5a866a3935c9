// A normalized word on its way to WordPiece: its bytes, and for each byte the
// span of the original text that it came from.
//
// One thread.

#ifndef TERN_TOKENIZER_WORD_H_
#define TERN_TOKENIZER_WORD_H_

#include <cstdint>

#include "absl/strings/string_view.h"
#include "tokenizer/tokenizer.h"
#include "tokenizer/utf8.h"

namespace tern {

// Words of more characters are unknown, whatever the vocabulary.
inline constexpr int kMaxWordCharacters = 100;

// Of a longer word only the extent is kept, so a Word has a fixed size.
class Word {
 public:
  void Clear() { character_count_ = size_bytes_ = 0; }

  void Append(char32_t c, TextSpan source) {
    if (character_count_ == 0) first_source_ = source;
    last_source_ = source;
    if (character_count_ > kMaxWordCharacters) return;
    if (++character_count_ > kMaxWordCharacters) return;
    const int begin = size_bytes_;
    size_bytes_ += EncodeUtf8(c, bytes_ + begin);
    for (int i = begin; i < size_bytes_; ++i) {
      source_begin_[i] = source.begin;
      source_end_[i] = source.end;
    }
  }

  bool empty() const { return character_count_ == 0; }
  bool is_too_long() const { return character_count_ > kMaxWordCharacters; }

  // The word, unless it is too long.
  absl::string_view bytes() const {
    return {bytes_, static_cast<size_t>(size_bytes_)};
  }

  // Where the whole word came from: from its first character's begin to its
  // last one's end, as Hugging Face has it.
  TextSpan source() const { return {first_source_.begin, last_source_.end}; }

  // Where bytes [begin, end) came from.
  TextSpan SourceOf(int begin, int end) const {
    return {source_begin_[begin], source_end_[end - 1]};
  }

 private:
  static constexpr int kMaxBytes = 4 * kMaxWordCharacters;

  int character_count_ = 0;  // at most kMaxWordCharacters + 1
  int size_bytes_ = 0;
  TextSpan first_source_;
  TextSpan last_source_;
  // Not initialized: only the first size_bytes_ are read.
  char bytes_[kMaxBytes];
  int32_t source_begin_[kMaxBytes];
  int32_t source_end_[kMaxBytes];
};

}  // namespace tern

#endif  // TERN_TOKENIZER_WORD_H_

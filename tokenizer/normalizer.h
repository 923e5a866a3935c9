// Splits text into normalized words: the careful way, for any text.
//
// Applies BERT's steps in one pass: drop control characters, set Chinese
// characters apart, decompose (NFD), strip accents, lower-case, split at white
// space and punctuation. Each character keeps the span of original bytes that
// Hugging Face's alignment gives it, also where canonical ordering moves marks.
// tokenizer.cc sends here only the stretches that are not plain ASCII.
//
// Time and memory are linear in the stretch, whatever it holds.
//
// Thread-compatible: one Normalizer per call, sharing a CharacterTable.

#ifndef TERN_TOKENIZER_NORMALIZER_H_
#define TERN_TOKENIZER_NORMALIZER_H_

#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "tokenizer/characters.h"
#include "tokenizer/tokenizer.h"
#include "tokenizer/word.h"

namespace tern {

class Normalizer {
 public:
  using OnWord = absl::FunctionRef<void(const Word&)>;

  // `characters` must outlive the normalizer.
  explicit Normalizer(const CharacterTable& characters)
      : characters_(characters) {}

  // Calls `on_word` for each word of text[span], which is valid UTF-8 and is
  // cut from its neighbours at white space, ASCII or a special token: no word
  // or combining sequence crosses its ends.
  void SplitWords(absl::string_view text, TextSpan span, OnWord on_word);

 private:
  // A mark that waits for its canonical order.
  struct Mark {
    NormalCharacter character;
    bool is_first;  // of the normal characters of its source
  };

  void AddCharacter(const CharacterTable::Entry& entry, TextSpan source,
                    OnWord on_word);
  void FlushMarks(OnWord on_word);
  void SortMarks();
  void Emit(const NormalCharacter& character, TextSpan source, OnWord on_word);
  void FlushWord(OnWord on_word);

  const CharacterTable& characters_;
  Word word_;
  TextSpan last_source_;  // of the last source character put in order

  // The marks since the last starter, and the characters they came from.
  std::vector<Mark> marks_;
  std::vector<Mark> sorted_marks_;
  std::vector<TextSpan> mark_sources_;
  bool has_kept_mark_ = false;
};

}  // namespace tern

#endif  // TERN_TOKENIZER_NORMALIZER_H_

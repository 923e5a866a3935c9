#include "tokenizer/normalizer.h"

#include <array>

namespace tern {

void Normalizer::SplitWords(absl::string_view text, TextSpan span,
                            OnWord on_word) {
  CharacterTable::Storage storage;
  for (int32_t at = span.begin; at < span.end;) {
    int size_bytes;
    const char32_t c = DecodeUtf8(text.data() + at, &size_bytes);
    const TextSpan source = {at, at + size_bytes};
    at += size_bytes;
    const CharacterTable::Entry entry = characters_.Find(c, storage);
    switch (entry.kind) {
      case CharacterKind::kDropped:
        break;
      case CharacterKind::kSpace:
        FlushMarks(on_word);
        FlushWord(on_word);
        break;
      case CharacterKind::kIdeograph:
        FlushMarks(on_word);
        FlushWord(on_word);
        AddCharacter(entry, source, on_word);
        FlushWord(on_word);
        break;
      case CharacterKind::kPlain:
        AddCharacter(entry, source, on_word);
        break;
    }
  }
  FlushMarks(on_word);
  FlushWord(on_word);
}

void Normalizer::AddCharacter(const CharacterTable::Entry& entry,
                              TextSpan source, OnWord on_word) {
  for (int i = 0; i < entry.normal_count; ++i) {
    const NormalCharacter& character = entry.normals[i];
    if (character.combining_class == 0) {
      FlushMarks(on_word);
      last_source_ = source;
      Emit(character, source, on_word);
      continue;
    }
    if (i == 0) mark_sources_.push_back(source);
    marks_.push_back({character, i == 0});
    has_kept_mark_ |= !character.is_stripped;
  }
}

// Puts the marks into canonical order and emits those that are kept. Hugging
// Face aligns by position after ordering: the k-th character that is the first
// of its source gets the k-th source, the others that of their predecessor.
void Normalizer::FlushMarks(OnWord on_word) {
  if (marks_.empty()) return;
  if (has_kept_mark_) {
    SortMarks();
    size_t next_source = 0;
    for (const Mark& mark : marks_) {
      if (mark.is_first) last_source_ = mark_sources_[next_source++];
      Emit(mark.character, last_source_, on_word);
    }
  }
  marks_.clear();
  mark_sources_.clear();
  has_kept_mark_ = false;
}

// Stable by combining class; counting, since a hostile text is one long run.
void Normalizer::SortMarks() {
  if (marks_.size() < 2) return;
  std::array<size_t, 257> begins = {};
  for (const Mark& mark : marks_) ++begins[mark.character.combining_class + 1];
  for (size_t i = 1; i < begins.size(); ++i) begins[i] += begins[i - 1];
  sorted_marks_.resize(marks_.size());
  for (const Mark& mark : marks_) {
    sorted_marks_[begins[mark.character.combining_class]++] = mark;
  }
  marks_.swap(sorted_marks_);
}

void Normalizer::Emit(const NormalCharacter& character, TextSpan source,
                      OnWord on_word) {
  if (character.is_stripped) return;
  if (!character.is_punctuation) {
    word_.Append(character.code_point, source);
    return;
  }
  FlushWord(on_word);
  word_.Append(character.code_point, source);
  FlushWord(on_word);
}

void Normalizer::FlushWord(OnWord on_word) {
  if (word_.empty()) return;
  on_word(word_);
  word_.Clear();
}

}  // namespace tern

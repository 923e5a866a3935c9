#include "tokenizer/text_encoder.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <utility>

namespace tern {

TextEncoder::TextEncoder(Vocabulary vocabulary, SpecialTokens special_tokens,
                         const NormalizationRules& rules, int32_t unknown_token)
    : vocabulary_(std::move(vocabulary)),
      special_tokens_(std::move(special_tokens)),
      characters_(rules),
      wordpiece_(vocabulary_.trie()),
      unknown_token_(unknown_token),
      lowercase_(rules.lowercase) {
  std::iota(identity_.begin(), identity_.end(), 0);
  ascii_to_normal_ = identity_;
  byte_kinds_.fill(ByteKind::kOther);
  for (char32_t c = 0; c < 0x80; ++c) {
    CharacterTable::Storage storage;
    const CharacterTable::Entry entry = characters_.Find(c, storage);
    if (entry.kind == CharacterKind::kSpace) byte_kinds_[c] = ByteKind::kSpace;
    if (entry.kind != CharacterKind::kPlain) continue;
    const NormalCharacter& normal = entry.normals[0];
    byte_kinds_[c] =
        normal.is_punctuation ? ByteKind::kPunctuation : ByteKind::kWord;
    ascii_to_normal_[c] = static_cast<unsigned char>(normal.code_point);
  }
}

void TextEncoder::Append(absl::string_view text, size_t enough,
                         Tokens& tokens) const {
  Normalizer normalizer(characters_);
  const int32_t size = static_cast<int32_t>(text.size());
  for (int32_t at = 0; at < size && tokens.size() <= enough;) {
    const SpecialTokens::Match match = special_tokens_.FindNext(text, at);
    AppendWords(text, {at, match.span.begin}, enough, normalizer, tokens);
    if (match.token >= 0) tokens.Add(match.token, match.span);
    at = match.span.end;
  }
}

void TextEncoder::AppendWords(absl::string_view text, TextSpan span,
                              size_t enough, Normalizer& normalizer,
                              Tokens& tokens) const {
  for (int32_t at = span.begin; at < span.end && tokens.size() <= enough;) {
    const int32_t begin = at;
    const ByteKind kind = KindOf(text[at]);
    if (kind == ByteKind::kSpace) {
      ++at;
      continue;
    }
    if (kind == ByteKind::kPunctuation) {
      AppendAsciiWord(text, {begin, ++at}, tokens);
      continue;
    }
    at += AppendShortWord(text, begin, span.end, tokens);
    if (at > begin) continue;
    while (at < span.end && KindOf(text[at]) == ByteKind::kWord) ++at;
    if (EndsStretch(text, at, span.end)) {
      AppendAsciiWord(text, {begin, at}, tokens);
      continue;
    }
    while (!EndsStretch(text, at, span.end)) ++at;
    normalizer.SplitWords(text, {begin, at}, [&](const Word& word) {
      AppendNormalizedWord(word, tokens);
    });
  }
}

int32_t TextEncoder::AppendShortWord(absl::string_view text, int32_t at,
                                     int32_t end, Tokens& tokens) const {
  EightBytes bytes;
  if (text.size() - at < sizeof bytes) return 0;
  std::memcpy(&bytes, text.data() + at, sizeof bytes);
  const int size = std::min(AsciiWordSize(bytes), end - at);
  if (size == 0 || !EndsStretch(text, at + size, end)) return 0;
  const int32_t token = vocabulary_.short_words().Find(bytes, size, lowercase_);
  if (token < 0) return 0;
  tokens.Add(token, {at, at + size});
  return size;
}

void TextEncoder::AppendAsciiWord(absl::string_view text, TextSpan span,
                                  Tokens& tokens) const {
  const int32_t size_bytes = span.end - span.begin;
  if (size_bytes > kMaxWordCharacters) {
    tokens.Add(unknown_token_, span);
    return;
  }
  WordPiece::Pieces pieces;
  const int count = wordpiece_.Split(text.substr(span.begin, size_bytes),
                                     ascii_to_normal_, pieces);
  if (count == 0) tokens.Add(unknown_token_, span);
  int32_t begin = span.begin;
  for (int i = 0; i < count; ++i) {
    const int32_t end = span.begin + pieces[i].end_bytes;
    tokens.Add(pieces[i].token, {begin, end});
    begin = end;
  }
}

void TextEncoder::AppendNormalizedWord(const Word& word, Tokens& tokens) const {
  if (word.is_too_long()) {
    tokens.Add(unknown_token_, word.source());
    return;
  }
  WordPiece::Pieces pieces;
  const int count = wordpiece_.Split(word.bytes(), identity_, pieces);
  if (count == 0) tokens.Add(unknown_token_, word.source());
  int begin_bytes = 0;
  for (int i = 0; i < count; ++i) {
    tokens.Add(pieces[i].token,
               word.SourceOf(begin_bytes, pieces[i].end_bytes));
    begin_bytes = pieces[i].end_bytes;
  }
}

}  // namespace tern

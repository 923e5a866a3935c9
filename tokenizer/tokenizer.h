// Text to BERT token ids, exactly as Hugging Face's `tokenizers` does it.
//
// First station of a request: a handler encodes its inputs here before it
// queues them. The rules are BERT's (Devlin et al. 2018): clean the text, pad
// Chinese characters with spaces, lower-case and strip accents if the
// vocabulary is uncased, split at white space and punctuation, then match the
// longest known pieces from the left (WordPiece). Special tokens that stand
// literally in the text ("[MASK]") stay whole.
//
// Offsets are bytes into the original UTF-8 text, whatever normalization did to
// it in between.
//
// Thread-safe: constant after Load.

#ifndef TERN_TOKENIZER_TOKENIZER_H_
#define TERN_TOKENIZER_TOKENIZER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace tern {

// Bytes [begin, end) of a text.
struct TextSpan {
  int32_t begin = 0;
  int32_t end = 0;
  friend bool operator==(const TextSpan&, const TextSpan&) = default;
};

// One sequence: [CLS] text [SEP] or [CLS] text [SEP] pair [SEP].
// All vectors have one entry per token.
struct Encoding {
  std::vector<int32_t> ids;
  std::vector<int32_t> type_ids;  // 0 for the first text, 1 for the second
  std::vector<TextSpan> offsets;  // {0, 0} for the special tokens added here
  int32_t pair_begin =
      0;  // index of the second text's first token; ids.size() without one
  bool truncated = false;
};

class Tokenizer {
 public:
  // Reads `vocab.txt` (one token a line) and, if present,
  // `tokenizer_config.json` (do_lower_case, strip_accents,
  // tokenize_chinese_chars, special tokens, never_split) of a Hugging Face
  // folder. Tokens of never_split are matched as special ones. Errors:
  // NOT_FOUND without vocab.txt, INVALID_ARGUMENT for a vocabulary without
  // [UNK], [CLS], [SEP] or a configured special token (serving needs neither
  // [PAD] nor [MASK]), with a duplicate line, or a malformed config.
  static absl::StatusOr<std::unique_ptr<Tokenizer>> Load(
      const std::string& folder);
  ~Tokenizer();

  // Encodes a text with its special tokens, cut to `max_tokens` in all.
  // Errors: INVALID_ARGUMENT for invalid UTF-8, naming the first bad byte, for
  // 2 GiB or more, and for a `max_tokens` without room for the special tokens.
  absl::StatusOr<Encoding> Encode(absl::string_view text, int max_tokens) const;

  // The same for a pair; cuts the longer text first, a token at a time, as
  // Hugging Face's "longest_first".
  absl::StatusOr<Encoding> EncodePair(absl::string_view text,
                                      absl::string_view pair,
                                      int max_tokens) const;

  // Encodes question and context as pairs, the context in windows of which
  // neighbours share `stride` tokens, as Hugging Face's "only_second" with
  // return_overflowing_tokens. A question that leaves the context less than
  // `stride` + 1 tokens is cut to make room, and its windows say `truncated`.
  // Offsets of the pair's tokens are into `context`. `max_tokens` is at least
  // `stride` + 4.
  absl::StatusOr<std::vector<Encoding>> EncodeWindows(
      absl::string_view question, absl::string_view context, int max_tokens,
      int stride) const;

  int vocabulary_size() const;

 private:
  class Impl;
  explicit Tokenizer(std::unique_ptr<const Impl> impl);
  std::unique_ptr<const Impl> impl_;
};

}  // namespace tern

#endif  // TERN_TOKENIZER_TOKENIZER_H_

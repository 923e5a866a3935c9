// The tokens of a model and their ids: vocab.txt, one token a line, the line
// number being the id.
//
// Thread-safe: constant after Load.

#ifndef TERN_TOKENIZER_VOCABULARY_H_
#define TERN_TOKENIZER_VOCABULARY_H_

#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "tokenizer/piece_trie.h"
#include "tokenizer/short_words.h"

namespace tern {

class Vocabulary {
 public:
  // Errors: NOT_FOUND without the file; INVALID_ARGUMENT, naming the line, for
  // a duplicate token or invalid UTF-8, and for an empty file.
  static absl::StatusOr<Vocabulary> Load(const std::string& path);

  // The id of `token`, or -1.
  int32_t Find(absl::string_view token) const;

  int size() const { return size_; }
  const PieceTrie& trie() const { return trie_; }
  const ShortWordTable& short_words() const { return short_words_; }

 private:
  Vocabulary(PieceTrie trie, ShortWordTable short_words, int size)
      : trie_(std::move(trie)),
        short_words_(std::move(short_words)),
        size_(size) {}

  PieceTrie trie_;
  ShortWordTable short_words_;
  int size_;
};

}  // namespace tern

#endif  // TERN_TOKENIZER_VOCABULARY_H_

// What tokenizer_config.json of a Hugging Face folder says about BERT's
// tokenizer; without the file, the defaults of Hugging Face's BertTokenizer.

#ifndef TERN_TOKENIZER_TOKENIZER_CONFIG_H_
#define TERN_TOKENIZER_TOKENIZER_CONFIG_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace tern {

struct TokenizerConfig {
  bool do_lower_case = true;
  bool strip_accents = true;  // null or absent: as do_lower_case
  bool tokenize_chinese_chars = true;

  std::string unk_token = "[UNK]";
  std::string sep_token = "[SEP]";
  std::string pad_token = "[PAD]";
  std::string cls_token = "[CLS]";
  std::string mask_token = "[MASK]";

  // additional_special_tokens, extra_special_tokens and never_split: whole
  // wherever they stand.
  std::vector<std::string> other_special_tokens;
  // added_tokens_decoder: special tokens with their ids, which may lie past
  // the end of vocab.txt.
  std::map<std::string, int32_t> added_tokens;
};

// Reads `path`. Errors: INVALID_ARGUMENT, naming the key, for malformed JSON, a
// wrong type, or an added token with options that Tern does not follow
// (lstrip, rstrip, single_word, normalized). A missing file gives the defaults.
absl::StatusOr<TokenizerConfig> ReadTokenizerConfig(const std::string& path);

// Reads added_tokens.json, in which folders without added_tokens_decoder have
// tokens by their ids. Errors: as above. A missing file has none.
absl::StatusOr<std::map<std::string, int32_t>> ReadAddedTokens(
    const std::string& path);

}  // namespace tern

#endif  // TERN_TOKENIZER_TOKENIZER_CONFIG_H_

// What sentence-transformers adds to the folder of an embedding model:
//   modules.json: the steps, Transformer, Pooling, perhaps Normalize
//   1_Pooling/config.json: how tokens' vectors become one; modules.json has the
//       folder's name
//   sentence_bert_config.json: the longest input, in tokens
//   config_sentence_transformers.json: prompts
//
// Thread-safe: pure functions.

#ifndef TERN_MODEL_SENTENCE_TRANSFORMER_H_
#define TERN_MODEL_SENTENCE_TRANSFORMER_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "model/config.h"

namespace tern {

// Fills in config.embedding from those files. A folder without modules.json
// gets the mean of all tokens, normalized.
// Errors: INVALID_ARGUMENT naming the file, what was expected and what was
// found: other steps, a kind of pooling that Tern does not know or several at
// once, a prompt that texts would get by default.
absl::Status ReadSentenceTransformer(const std::string& folder,
                                     BertConfig& config);

// Those of the files that are in `folder`, as paths from there.
std::vector<std::string> SentenceTransformerFiles(const std::string& folder);

}  // namespace tern

#endif  // TERN_MODEL_SENTENCE_TRANSFORMER_H_

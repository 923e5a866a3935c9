// What a Hugging Face config.json says about a BERT or a relative, checked.
//
// A plain struct; every size is positive and in bounds, so the engine does not
// check again.

#ifndef TERN_MODEL_CONFIG_H_
#define TERN_MODEL_CONFIG_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "kernels/row_ops.h"

namespace tern {

// Whose tensors a model has; docs/models.md says which models belong to which.
enum class Family {
  kBert,        // model_type "bert": also MiniLM, TinyBERT
  kDistilBert,  // model_type "distilbert": no token types, another head
  kMobileBert,  // model_type "mobilebert": layers with bottlenecks
};

enum class Task {
  kSingleLabel,        // BertForSequenceClassification, softmax
  kMultiLabel,         // the same with problem_type multi_label_classification,
                       // sigmoid
  kRegression,         // the same with problem_type regression, or one label
  kQuestionAnswering,  // BertForQuestionAnswering
  kEmbedding,          // BertModel, as sentence-transformers has it
};

// How an embedding is made of the last hidden states of a sequence's tokens.
enum class Pooling { kMean, kFirstToken, kMax };

struct BertConfig {
  Family family = Family::kBert;
  Task task = Task::kSingleLabel;
  int layers = 0;
  int hidden_size = 0;
  int heads = 0;
  int intermediate_size = 0;
  int vocabulary_size = 0;
  int max_positions = 0;         // longest sequence, in tokens
  int type_vocabulary_size = 0;  // 0: the family has no token types
  bool layer_norm = true;        // else NoNorm: scale and shift only
  float layer_norm_epsilon = 1e-12f;
  Activation activation = Activation::kGelu;
  bool ternary = false;  // quantization_config.quant_method is "tern"
  std::vector<std::string> labels;  // id2label in order; classifiers only
  struct Embedding {                // embedding models only
    Pooling pooling = Pooling::kMean;
    bool normalize = true;  // unless a request asks otherwise
    int max_tokens = 0;     // at most max_positions
  } embedding;
  struct MobileBert {  // that family only
    int word_size = 0;
    int bottleneck_size = 0;
    int feed_forwards = 0;  // networks in a layer, one after another
    // Query, key and value are made from the bottleneck's output; else value
    // from the hidden states, query and key from a bottleneck of their own.
    bool attends_bottleneck = false;
    bool pooler = false;
  } mobilebert;

  // Columns of a word embedding.
  int word_size() const {
    return family == Family::kMobileBert ? mobilebert.word_size : hidden_size;
  }
  // Columns of query, key and value, each, and of a layer's inside.
  int attention_size() const {
    return family == Family::kMobileBert ? mobilebert.bottleneck_size
                                         : hidden_size;
  }
  // Columns of what value is made from.
  int value_input_size() const {
    return mobilebert.attends_bottleneck ? attention_size() : hidden_size;
  }
  int head_dim() const { return attention_size() / heads; }
  // Whether an input may be a pair: a model with one token type could not tell
  // its texts apart, one without token types goes by [SEP].
  bool takes_pairs() const { return type_vocabulary_size != 1; }
  // Logits per sequence (classifiers; embedding models: hidden_size) or per
  // token (question answering: 2).
  int outputs() const;
};

// Reads `<folder>/config.json` and, for an embedding model, what
// sentence-transformers adds to it (model/sentence_transformer.h).
// Errors: NOT_FOUND without the file; INVALID_ARGUMENT naming the key, what was
// expected and what was found: another model_type or architecture, a missing or
// non-positive size, a hidden size not divisible by heads, relative position
// embeddings, an unknown activation, id2label with gaps.
absl::StatusOr<BertConfig> LoadConfig(const std::string& folder);

}  // namespace tern

#endif  // TERN_MODEL_CONFIG_H_

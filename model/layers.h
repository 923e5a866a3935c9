// The layers of a BERT, as in the papers (Devlin et al. 2018; Vaswani et al.
// 2017): embeddings, encoder layers, and the heads on top.
//
// A layer works on rows (tokens). The engine sends it either all rows of a
// small batch with the whole team, or one tile of a large batch with a team of
// one; the same code serves both, and no row's result depends on which it was.
//
// Thread-safe: constant after loading.

#ifndef TERN_MODEL_LAYERS_H_
#define TERN_MODEL_LAYERS_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "kernels/variant.h"
#include "model/batch.h"
#include "model/config.h"
#include "model/linear.h"
#include "model/thread_team.h"
#include "model/workspace.h"

namespace tern {

// Rows [begin, end) of the batch on their way through the layers.
struct RowRange {
  int begin = 0;
  int end = 0;
  int count() const { return end - begin; }
};

// What every layer needs to know of its model.
struct LayerContext {
  const BertConfig& config;
  const Variant& variant;
  bool quantized;          // Linear layers read bytes (int8, ternary)
  bool integer_attention;  // attention as the ternary models were trained with
};

struct LayerNorm {
  std::vector<float> gamma;  // [hidden]
  std::vector<float> beta;   // [hidden]
};

// Rows of the word embedding, as floats or ternary with one scale a row.
struct WordEmbeddings {
  std::vector<float> floats;   // [vocabulary, hidden], or empty
  std::vector<uint8_t> codes;  // [vocabulary, ceil(hidden / 4)]
  std::vector<float> scales;   // [vocabulary]
};

// hidden = LayerNorm(word[id] + type[type id] + position[i])
struct Embeddings {
  WordEmbeddings words;
  std::vector<float> types;      // [type vocabulary, hidden], or empty
  std::vector<float> positions;  // [max positions, hidden]
  LayerNorm norm;

  // Writes hidden rows of the batch and, if quantized, tile.quantized.
  void Forward(const LayerContext& context, const Batch& batch, RowRange rows,
               float* hidden, const TileScratch& tile, ThreadTeam& team) const;
};

struct EncoderLayer {
  std::unique_ptr<Linear> query, key, value;
  std::unique_ptr<Linear> attention_output;
  LayerNorm attention_norm;
  std::unique_ptr<Linear> intermediate;
  std::unique_ptr<Linear> output;
  LayerNorm output_norm;

  // qkv = hidden [Wq Wk Wv]^T + b, for rows whose bytes are in tile.quantized.
  void ProjectQkv(const LayerContext& context, RowRange rows,
                  const float* hidden, float* qkv, const TileScratch& tile,
                  ThreadTeam& team) const;

  // hidden = LayerNorm(hidden + context Wo^T + b)
  // hidden = LayerNorm(hidden + activation(hidden Wi^T + b) Wo'^T + b')
  // Leaves the bytes of the result in tile.quantized.
  void FeedForward(const LayerContext& context, RowRange rows,
                   const float* attention_context, float* hidden,
                   const TileScratch& tile, ThreadTeam& team) const;
};

// context = softmax(q k^T / sqrt(head_dim)) v, for every head of every
// sequence.
void Attend(const LayerContext& context, const Batch& batch,
            Workspace& workspace, ThreadTeam& team);

// The layer that turns hidden states into logits; always in fp32.
struct Head {
  // activation(hidden Wp^T + b) comes first; may be null.
  std::unique_ptr<Linear> pooler;
  Activation pooler_activation = Activation::kTanh;
  std::vector<float> weight;  // [outputs, hidden]
  std::vector<float> bias;    // [outputs]

  // logits [rows, outputs] of rows whose bytes are in tile.quantized.
  void Forward(const LayerContext& context, RowRange rows, const float* hidden,
               float* logits, const TileScratch& tile, ThreadTeam& team) const;
};

}  // namespace tern

#endif  // TERN_MODEL_LAYERS_H_

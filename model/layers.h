// The layers of a BERT, as in the papers (Devlin et al. 2018; Vaswani et al.
// 2017): embeddings, encoder layers, and the heads on top. A family whose
// layers differ has them in a file of its own (mobilebert_layer.h).
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

#include "model/batch.h"
#include "model/layer_steps.h"
#include "model/linear.h"
#include "model/thread_team.h"
#include "model/workspace.h"

namespace tern {

// Rows of the word embedding, as floats or ternary with one scale a row.
struct WordEmbeddings {
  std::vector<float> floats;   // [vocabulary, k], or empty
  std::vector<uint8_t> codes;  // [vocabulary, ceil(k / 4)]
  std::vector<float> scales;   // [vocabulary]

  // Adds row `id` to y [k].
  void AddTo(int id, int k, float* y) const;
};

// What makes the first hidden states of token ids.
class Embeddings {
 public:
  virtual ~Embeddings() = default;

  // Writes hidden rows of the batch and, if quantized, tile.quantized.
  virtual void Forward(const LayerContext& context, const Batch& batch,
                       RowRange rows, float* hidden, const TileScratch& tile,
                       ThreadTeam& team) const = 0;
};

// A layer of the encoder: what comes before attention, for which all rows of a
// sequence must be there, and what comes after.
class EncoderLayer {
 public:
  virtual ~EncoderLayer() = default;

  // workspace.qkv() of rows of workspace.hidden() whose bytes are in
  // tile.quantized.
  virtual void ProjectQkv(const LayerContext& context, RowRange rows,
                          Workspace& workspace, const TileScratch& tile,
                          ThreadTeam& team) const = 0;

  // workspace.hidden() of it and workspace.context(), what attention gave.
  // Leaves the bytes of the result in tile.quantized.
  virtual void FeedForward(const LayerContext& context, RowRange rows,
                           Workspace& workspace, const TileScratch& tile,
                           ThreadTeam& team) const = 0;
};

// hidden = LayerNorm(word[id] + type[type id] + position[i])
struct BertEmbeddings : Embeddings {
  WordEmbeddings words;
  std::vector<float> types;      // [type vocabulary, hidden], or empty
  std::vector<float> positions;  // [max positions, hidden]
  LayerNorm norm;

  void Forward(const LayerContext& context, const Batch& batch, RowRange rows,
               float* hidden, const TileScratch& tile,
               ThreadTeam& team) const override;
};

struct BertLayer : EncoderLayer {
  std::unique_ptr<Linear> query, key, value;
  DenseNorm attention_output;
  FeedForwardNetwork feed_forward;

  // qkv = hidden [Wq Wk Wv]^T + b
  void ProjectQkv(const LayerContext& context, RowRange rows,
                  Workspace& workspace, const TileScratch& tile,
                  ThreadTeam& team) const override;

  // hidden = LayerNorm(hidden + context Wo^T + b)
  // hidden = LayerNorm(hidden + activation(hidden Wi^T + b) Wo'^T + b')
  void FeedForward(const LayerContext& context, RowRange rows,
                   Workspace& workspace, const TileScratch& tile,
                   ThreadTeam& team) const override;
};

// y += x, both [k].
void AddRow(const float* x, int k, float* y);

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

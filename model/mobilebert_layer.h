// The parts of a MobileBERT that differ from BERT's (Sun et al. 2020).
//
// A layer works in a bottleneck: what is `hidden_size` wide between layers is
// `bottleneck_size` wide within. Words are narrow, too, and a token's hidden
// state starts from its own word and its neighbours'.
//
// Thread-safe: constant after loading.

#ifndef TERN_MODEL_MOBILEBERT_LAYER_H_
#define TERN_MODEL_MOBILEBERT_LAYER_H_

#include <memory>
#include <vector>

#include "model/layers.h"

namespace tern {

// hidden = LayerNorm([word[next id] word[id] word[previous id]] Wt^T + b
//                    + position[i] + type[type id])
// Beyond a sequence's ends the words are 0.
struct MobileBertEmbeddings : Embeddings {
  WordEmbeddings words;
  std::unique_ptr<Linear> transformation;
  std::vector<float> types;      // [type vocabulary, hidden]
  std::vector<float> positions;  // [max positions, hidden]
  LayerNorm norm;

  void Forward(const LayerContext& context, const Batch& batch, RowRange rows,
               float* hidden, const TileScratch& tile,
               ThreadTeam& team) const override;
};

struct MobileBertLayer : EncoderLayer {
  // `attention_input` is not used where query, key and value are made from
  // `input`'s output.
  DenseNorm input, attention_input, output;
  std::unique_ptr<Linear> query, key, value;
  DenseNorm attention_output;
  std::vector<FeedForwardNetwork> feed_forwards;

  // bottleneck = LayerNorm(hidden Wb^T + b)
  // shared = LayerNorm(hidden Ws^T + b)
  // qkv = [shared Wq^T + b, shared Wk^T + b, hidden Wv^T + b]
  // or, with config.mobilebert.attends_bottleneck,
  // qkv = bottleneck [Wq Wk Wv]^T + b
  void ProjectQkv(const LayerContext& context, RowRange rows,
                  Workspace& workspace, const TileScratch& tile,
                  ThreadTeam& team) const override;

  // bottleneck = LayerNorm(bottleneck + context Wo^T + b)
  // for each network: bottleneck = LayerNorm(bottleneck + network(bottleneck))
  // hidden = LayerNorm(hidden + bottleneck Wh^T + b)
  void FeedForward(const LayerContext& context, RowRange rows,
                   Workspace& workspace, const TileScratch& tile,
                   ThreadTeam& team) const override;
};

}  // namespace tern

#endif  // TERN_MODEL_MOBILEBERT_LAYER_H_

// The steps that the layers of every family are made of.
//
// Each works on rows (tokens), shares them among a team, and leaves, where the
// model is quantized, the bytes that the next Linear reads.
//
// Thread-safe: pure functions but for what they write.

#ifndef TERN_MODEL_LAYER_STEPS_H_
#define TERN_MODEL_LAYER_STEPS_H_

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "kernels/variant.h"
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
  std::vector<float> gamma;  // [k]
  std::vector<float> beta;   // [k]
  bool normalize = true;     // else it only scales and shifts
  float epsilon = 1e-12f;
};

// Row operations take about this many rows a task: enough to be worth handing
// over, few enough to share out evenly.
inline constexpr int kRowsPerTask = 8;

// Calls task(begin, end) on pieces of [0, rows).
template <typename Task>
void ForRows(ThreadTeam& team, int rows, const Task& task) {
  const int rows_per_task = team.threads() == 1 ? rows : kRowsPerTask;
  if (rows == 0) return;
  team.For((rows + rows_per_task - 1) / rows_per_task, [&](int piece, int) {
    const int begin = piece * rows_per_task;
    task(begin, std::min(begin + rows_per_task, rows));
  });
}

// The first k columns' worth of memory of `bytes`, which has at least so many.
QuantizedRows Narrow(QuantizedRows bytes, int k);

LinearInput Input(int rows, const float* x, int k, const QuantizedRows& bytes);

// y = LayerNorm(x + residual), quantized into `bytes`; all [rows, k]. No
// residual where it is null; y may be x or residual.
void AddNorm(const LayerContext& context, const LayerNorm& norm, int rows,
             const float* x, const float* residual, float* y,
             const QuantizedRows& bytes, ThreadTeam& team);

// x [rows, k] = activation(x), quantized into `bytes`.
void Activate(const LayerContext& context, Activation activation, int rows,
              int k, float* x, const QuantizedRows& bytes, ThreadTeam& team);

// x [rows, k] into `bytes`.
void Quantize(const LayerContext& context, int rows, int k, const float* x,
              const QuantizedRows& bytes, ThreadTeam& team);

// A Linear and the LayerNorm after it.
struct DenseNorm {
  std::unique_ptr<Linear> dense;
  LayerNorm norm;

  // y = LayerNorm(input W^T + b + residual), quantized into `bytes`. Uses
  // tile.dense.
  void Forward(const LayerContext& context, const LinearInput& input,
               const float* residual, float* y, const QuantizedRows& bytes,
               const TileScratch& tile, ThreadTeam& team) const;
};

struct FeedForwardNetwork {
  std::unique_ptr<Linear> intermediate;
  DenseNorm output;

  // x = LayerNorm(x + activation(x Wi^T + b) Wo^T + b'), for rows [rows, k]
  // whose bytes are in `bytes`, where those of the result go, too.
  void Forward(const LayerContext& context, int rows, int k, float* x,
               const QuantizedRows& bytes, const TileScratch& tile,
               ThreadTeam& team) const;
};

}  // namespace tern

#endif  // TERN_MODEL_LAYER_STEPS_H_

// AdamW (Loshchilov & Hutter 2019) with global gradient clipping.
//
//   g = clip(gradient),  m = b1 m + (1 - b1) g,  v = b2 v + (1 - b2) g^2
//   p = p - rate (m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps) + decay p)
// Biases and LayerNorm parameters do not decay.
//
// One thread calls; elements are shared by libtorch's threads.

#ifndef TERN_TRAIN_ADAMW_H_
#define TERN_TRAIN_ADAMW_H_

#include <cstdint>

#include "train/bert_module.h"

namespace tern {

struct AdamWOptions {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0.01;
  double max_gradient_norm = 1;  // over all parameters; 0 does not clip
};

// What a checkpoint keeps of it.
struct AdamWState {
  int64_t steps = 0;         // t
  TensorMap first_moments;   // m by parameter name
  TensorMap second_moments;  // v
};

class AdamW {
 public:
  AdamW(const TensorMap& parameters, const AdamWOptions& options);

  // Updates the parameters from their gradients, which it drops. Returns the
  // norm of the gradients before clipping; where that is not finite, nothing
  // was updated.
  double Step(double rate);

  AdamWState& state() { return state_; }

 private:
  const TensorMap parameters_;
  const AdamWOptions options_;
  AdamWState state_;
};

// The rate at `step` of `steps`: rises linearly over the first `warmup` (a
// share), then falls linearly to zero.
double LinearSchedule(double peak_rate, double warmup, int64_t step,
                      int64_t steps);

}  // namespace tern

#endif  // TERN_TRAIN_ADAMW_H_

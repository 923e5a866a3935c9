// The exponential moving average of a run's weights, which is often a little
// better on dev than any of them (Polyak & Juditsky 1992).
//
//   a = a + (1 - d) (w - a),  d = min(decay, (1 + t) / (10 + t)) at step t
// so that the first steps' weights are soon forgotten.
//
// One thread calls; elements are shared by libtorch's threads.

#ifndef TERN_TRAIN_WEIGHT_AVERAGE_H_
#define TERN_TRAIN_WEIGHT_AVERAGE_H_

#include <cstdint>

#include "train/bert_module.h"

namespace tern {

class WeightAverage {
 public:
  // Of `parameters`, from their present state on. A decay of 0 keeps none.
  WeightAverage(const TensorMap& parameters, double decay);

  bool enabled() const { return !averages_.empty(); }

  // After step `step`.
  void Update(int64_t step);

  // Exchanges the averages and the parameters; a second call undoes it.
  void Swap();

  // By parameter name, for checkpoints.
  const TensorMap& averages() const { return averages_; }

 private:
  const TensorMap parameters_;
  const double decay_;
  TensorMap averages_;
};

}  // namespace tern

#endif  // TERN_TRAIN_WEIGHT_AVERAGE_H_

// A run's log as a picture: loss, and metrics on the dev file, against steps.
//
// Thread-safe: pure functions.

#ifndef TERN_TRAIN_LEARNING_CURVES_H_
#define TERN_TRAIN_LEARNING_CURVES_H_

#include <string>

#include "absl/status/status.h"

namespace tern {

// Reads a run's log.jsonl and writes an SVG in the place of `to`. The loss is
// drawn as it is, pale, and averaged over about a fiftieth of the run.
// Errors: NOT_FOUND without a log; what writing gives.
absl::Status PlotLearningCurves(const std::string& log,
                                const std::string& title,
                                const std::string& to);

}  // namespace tern

#endif  // TERN_TRAIN_LEARNING_CURVES_H_

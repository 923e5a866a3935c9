// The formulas that make weights ternary; shared by the trainer's fake
// quantization, the exporter and the tests.

#ifndef TERN_KERNELS_TERNARIZE_H_
#define TERN_KERNELS_TERNARIZE_H_

#include <cstddef>
#include <cstdint>

namespace tern {

// Ternary weight networks (Li et al. 2016, eqs. 5 and 6), the approximate
// solution of min_{alpha, T} ||w - alpha T||^2:
//   delta = 0.7 / size * sum |w|
//   T = sign(w) where |w| > delta, else 0
//   alpha = mean of |w| over T != 0 (0 where T = 0 everywhere)
// w [size]; writes t [size] in {-1, 0, 1} and returns alpha. Sums in double.
float TernarizeTwn(const float* w, size_t size, int8_t* t);

// Loss-aware ternarization (Hou & Kwok 2018, algorithm 1): min_{alpha, T} of
// sum_p d[p] (w[p] - alpha T[p])^2, d > 0 estimating the loss's curvature, by
// turns from TWN's solution until T stays:
//   alpha = sum_{T != 0} d |w| / sum_{T != 0} d
//   T = sign(w) where |w| > alpha / 2, else 0
// w, d [size]; writes t [size] and returns alpha. Sums in double. No turn makes
// the error larger.
float TernarizeLat(const float* w, const float* d, size_t size, int8_t* t);

}  // namespace tern

#endif  // TERN_KERNELS_TERNARIZE_H_

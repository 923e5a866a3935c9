// Floats of 16 bits, as model files hold them: F16 (IEEE 754 binary16: 5
// exponent bits, 10 of mantissa) and BF16 (the upper half of a binary32).
//
// Thread-safe: pure functions.

#ifndef TERN_MODEL_HALF_H_
#define TERN_MODEL_HALF_H_

#include <cstdint>

namespace tern {

// Exact, also for subnormals, infinities and NaN.
float HalfToFloat(uint16_t half);
float BFloat16ToFloat(uint16_t bfloat16);

// To nearest, ties to even; too large becomes infinity, NaN stays NaN.
uint16_t FloatToHalf(float value);
uint16_t FloatToBFloat16(float value);

}  // namespace tern

#endif  // TERN_MODEL_HALF_H_

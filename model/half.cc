#include "model/half.h"

#include <bit>

namespace tern {
namespace {

constexpr uint32_t kFloatInfinity = 0x7f800000;  // larger ones are NaN

}  // namespace

float HalfToFloat(uint16_t half) {
  const uint32_t sign = (half & 0x8000u) << 16;
  // In a float's place the half's exponent reads as if it were biased by 127
  // instead of 15; the product corrects that, exactly.
  const float magnitude =
      std::bit_cast<float>((half & 0x7fffu) << 13) * 0x1p112f;
  const uint32_t special = (half & 0x7c00) == 0x7c00 ? kFloatInfinity : 0;
  return std::bit_cast<float>(std::bit_cast<uint32_t>(magnitude) | special |
                              sign);
}

float BFloat16ToFloat(uint16_t bfloat16) {
  return std::bit_cast<float>(static_cast<uint32_t>(bfloat16) << 16);
}

uint16_t FloatToHalf(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = bits >> 16 & 0x8000;
  uint32_t magnitude = bits & 0x7fffffff;
  if (magnitude > kFloatInfinity) return sign | 0x7e00;
  // 65520 is half way between the largest half and the next power of two.
  if (magnitude >= std::bit_cast<uint32_t>(65520.0f)) return sign | 0x7c00;
  if (magnitude < std::bit_cast<uint32_t>(0x1p-14f)) {
    // A subnormal half counts units of 2^-24, as floats in [0.5, 1) do: the
    // addition rounds to that unit.
    const float rounded = std::bit_cast<float>(magnitude) + 0.5f;
    return sign |
           (std::bit_cast<uint32_t>(rounded) - std::bit_cast<uint32_t>(0.5f));
  }
  magnitude += 0xfff + (magnitude >> 13 & 1);
  constexpr uint32_t kBiasDifference = (127 - 15) << 23;
  return sign | (magnitude - kBiasDifference) >> 13;
}

uint16_t FloatToBFloat16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffff) > kFloatInfinity) return bits >> 16 | 0x40;
  return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

}  // namespace tern

#include "kernels/ternary_tiles.h"

#include <algorithm>
#include <cstring>

#include "kernels/ternary_gemm.h"
#include "kernels/variants_internal.h"

namespace tern {
namespace {

static_assert(kTileColumns == kTernaryColumnBlock);

constexpr uint32_t kZeroWeights = 0x55555555;  // 16 times code 1

// Codes of inputs [16 group, 16 group + 16) of a column as the file has them,
// code 1 past k.
uint32_t LoadWord(const TernaryMatrix& w, int column, int group) {
  const size_t row_bytes = (w.k + 3) / 4;
  const size_t first = static_cast<size_t>(group) * sizeof(uint32_t);
  const size_t bytes = std::min(row_bytes - first, sizeof(uint32_t));
  uint32_t word = 0;  // little-endian, as every CPU with these variants
  std::memcpy(&word, w.codes + column * row_bytes + first, bytes);
  const int inputs = w.k - group * kTileInputs;
  if (inputs < kTileInputs) {
    const uint32_t valid = (uint32_t{1} << 2 * inputs) - 1;
    word = (word & valid) | (kZeroWeights & ~valid);
  }
  return word;
}

// Exchanges the bits of `mask` with those `shift` above them.
uint32_t SwapBits(uint32_t word, uint32_t mask, int shift) {
  const uint32_t differing = (word ^ (word >> shift)) & mask;
  return word ^ differing ^ (differing << shift);
}

// The 2-bit code at bits 8 s + 2 i goes to bits 8 i + 2 s: a 4 x 4 transpose,
// first within 2 x 2 blocks, then of the blocks.
uint32_t TransposeCodes(uint32_t word) {
  word = SwapBits(word, 0x00cc00cc, 6);
  return SwapBits(word, 0x0000f0f0, 12);
}

// Sum of the 16 codes of a word.
int32_t SumCodes(uint32_t word) {
  word = (word & 0x33333333) + (word >> 2 & 0x33333333);
  word = (word & 0x0f0f0f0f) + (word >> 4 & 0x0f0f0f0f);
  return static_cast<int32_t>(word * 0x01010101 >> 24);
}

PackedTernary PackTiles(const TernaryMatrix& w) {
  PackedTernary packed;
  packed.n = w.n;
  packed.k = w.k;
  packed.scale = w.scale;
  packed.column_sums.resize(w.n);
  const int groups = PaddedDepth(w.k) / kTileInputs;
  const size_t blocks = (w.n + kTileColumns - 1) / kTileColumns;
  packed.codes = AlignedBuffer<uint8_t>(blocks * groups * kTileGroupBytes);
  std::memset(packed.codes.data(), kZeroWeights & 0xff, packed.codes.size());

  const int groups_of_file = (w.k + kTileInputs - 1) / kTileInputs;
  for (int column = 0; column < w.n; ++column) {
    uint8_t* const codes =
        packed.codes.data() +
        static_cast<size_t>(column / kTileColumns) * groups * kTileGroupBytes +
        column % kTileColumns * sizeof(uint32_t);
    int32_t sum = 0;
    for (int group = 0; group < groups_of_file; ++group) {
      const uint32_t word = LoadWord(w, column, group);
      sum += SumCodes(word) - kTileInputs;  // weight = code - 1
      const uint32_t transposed = TransposeCodes(word);
      std::memcpy(codes + static_cast<size_t>(group) * kTileGroupBytes,
                  &transposed, sizeof(transposed));
    }
    packed.column_sums[column] = sum;
  }
  return packed;
}

}  // namespace

namespace avx2 {
PackedTernary PackTernary(const TernaryMatrix& w) { return PackTiles(w); }
}  // namespace avx2

namespace avx512_vnni {
PackedTernary PackTernary(const TernaryMatrix& w) { return PackTiles(w); }
}  // namespace avx512_vnni

namespace amx {
PackedTernary PackTernary(const TernaryMatrix& w) { return PackTiles(w); }
}  // namespace amx

}  // namespace tern

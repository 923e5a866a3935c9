#include "kernels/ternary_tiles.h"

#include <cstring>

#include "kernels/ternary_gemm.h"
#include "kernels/variants_internal.h"

namespace tern {
namespace {

static_assert(kTileColumns == kTernaryColumnBlock);

int CodeAt(const TernaryMatrix& w, int column, int input) {
  const size_t row_bytes = (w.k + 3) / 4;
  return w.codes[column * row_bytes + input / 4] >> (input % 4 * 2) & 3;
}

constexpr uint8_t kFourZeroWeights = 0b01010101;

PackedTernary PackTiles(const TernaryMatrix& w) {
  PackedTernary packed;
  packed.n = w.n;
  packed.k = w.k;
  packed.scale = w.scale;
  packed.column_sums.resize(w.n);
  const size_t groups = PaddedDepth(w.k) / kTileInputs;
  const size_t blocks = (w.n + kTileColumns - 1) / kTileColumns;
  packed.codes = AlignedBuffer<uint8_t>(blocks * groups * kTileGroupBytes);
  std::memset(packed.codes.data(), kFourZeroWeights, packed.codes.size());

  for (int column = 0; column < w.n; ++column) {
    uint8_t* const bytes = packed.codes.data() +
                           column / kTileColumns * groups * kTileGroupBytes +
                           column % kTileColumns * 4;
    for (int input = 0; input < w.k; ++input) {
      const int code = CodeAt(w, column, input);
      packed.column_sums[column] += code - 1;
      uint8_t& byte =
          bytes[static_cast<size_t>(input / kTileInputs) * kTileGroupBytes +
                input % 4];
      const int shift = input % kTileInputs / 4 * 2;
      byte = (byte & ~(3 << shift)) | code << shift;
    }
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

}  // namespace tern

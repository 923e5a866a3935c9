// Attention by tdpbusd: the 8-bit values lie in words and panels as for
// vpdpbusd, and 16 words of a panel are a tile.

#include "kernels/amx_intrinsics.h"
#include "kernels/bytes_dot_avx512.h"
#include "kernels/lanes_avx512.h"
#include "kernels/variants_internal.h"

namespace tern {
namespace TERN_AMX_NAMESPACE {
namespace {

// Measured on a Sapphire Rapids: equal at 128 tokens and 64 dimensions, 21%
// quicker at 384.
constexpr int kMinLength = 128;
constexpr int kMinHeadDim = 64;

struct IntegerDot : BytesDot {
  static constexpr int kTileRows = 16;
  static constexpr int kWordStep = 16;
  static constexpr int kPanelsAtOnce = 4;

  template <typename Start, typename Finish>
  static void MultiplyPanels(const Word* left, int64_t left_stride,
                             const Word* right, int words, int panels,
                             const Start& start, const Finish& finish) {
    alignas(64) Word products[kPanelsAtOnce][kTileRows][kLanes];
    const int64_t panel_words = int64_t{words} * kLanes;
    for (int first = 0; first < panels; first += kPanelsAtOnce) {
      const int left_panels = panels - first;
      const int count =
          left_panels < kPanelsAtOnce ? left_panels : kPanelsAtOnce;
      MultiplyTiles(left, left_stride, right + first * panel_words, words,
                    count, products);
      for (int p = 0; p < count; ++p) {
        IntLanes sums[kTileRows];
        start(first + p, sums);
        for (int t = 0; t < kTileRows; ++t) {
          sums[t] = AddInt(sums[t], LoadInt(products[p][t]));
        }
        finish(first + p, sums);
      }
    }
  }

  // Tiles 0 to 3 are products, 4 is of the left operand, 5 of the right one.
  static void MultiplyTiles(
      const Word* left, int64_t left_stride, const Word* right, int words,
      int panels, Word (&products)[kPanelsAtOnce][kTileRows][kLanes]) {
    constexpr int kRowBytes = kLanes * sizeof(Word);
    const int64_t panel_words = int64_t{words} * kLanes;
    KeepOrder();
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (int g = 0; g < words; g += kWordStep) {
      const Word* const tile = right + g * kLanes;
      _tile_loadd(4, left + g, left_stride * sizeof(Word));
      _tile_loadd(5, tile, kRowBytes);
      _tile_dpbusd(0, 4, 5);
      if (panels > 1) {
        _tile_loadd(5, tile + panel_words, kRowBytes);
        _tile_dpbusd(1, 4, 5);
      }
      if (panels > 2) {
        _tile_loadd(5, tile + 2 * panel_words, kRowBytes);
        _tile_dpbusd(2, 4, 5);
      }
      if (panels > 3) {
        _tile_loadd(5, tile + 3 * panel_words, kRowBytes);
        _tile_dpbusd(3, 4, 5);
      }
    }
    _tile_stored(0, products[0], kRowBytes);
    _tile_stored(1, products[1], kRowBytes);
    _tile_stored(2, products[2], kRowBytes);
    _tile_stored(3, products[3], kRowBytes);
  }
};

#include "kernels/row_lanes.inc"
// Uses the former.
#include "kernels/attention.inc"

}  // namespace

void AttentionInt8(const AttentionArgs& args) {
  if (args.length < kMinLength || args.head_dim < kMinHeadDim) {
    TERN_AVX512_NAMESPACE::AttentionInt8(args);
    return;
  }
  TileConfig config;
  for (int tile = 0; tile <= 5; ++tile) {
    config.rows[tile] = IntegerDot::kTileRows;
    config.row_bytes[tile] = kLanes * sizeof(IntegerDot::Word);
  }
  KeepOrder();
  _tile_loadconfig(&config);
  Int8Head(args).Run();
  _tile_release();
}

}  // namespace TERN_AMX_NAMESPACE

}  // namespace tern

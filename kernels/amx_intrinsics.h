// AMX intrinsics for the amx files: the compiler's or, where TERN_EMULATE
// is set, a model of the tile registers that runs on any machine.
//
// The model does what the instructions' pseudo-code in Intel's manual does
// (Software Developer's Manual, volume 2, "LDTILECFG" to "TDPBUSD") and ends
// the program where they would raise an exception, so a test that passes has
// configured every tile that it used as its use demands. What it cannot show is
// that Linux grants the tiles, and how fast they are.

#ifndef TERN_KERNELS_AMX_INTRINSICS_H_
#define TERN_KERNELS_AMX_INTRINSICS_H_

#include <cstddef>
#include <cstdint>

#include "kernels/avx512_intrinsics.h"

namespace tern {

// What LDTILECFG reads.
struct alignas(64) TileConfig {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {};  // of each tile: 0 to 64
  uint8_t rows[16] = {};        // 0 to 16
};
static_assert(sizeof(TileConfig) == 64);

// gcc's tile loads do not say that they read memory, so it could move stores
// past them.
static inline void KeepOrder() { asm volatile("" ::: "memory"); }

}  // namespace tern

#ifdef TERN_EMULATE
namespace tern_emulated {

constexpr int kTiles = 8;
constexpr int kTileRows = 16;
constexpr int kTileRowBytes = 64;

struct Tile {
  int rows = 0;
  int row_bytes = 0;
  uint8_t bytes[kTileRows][kTileRowBytes] = {};
};

static thread_local Tile tiles[kTiles];

static inline void Demand(bool holds) {
  if (!holds) __builtin_trap();
}

static inline void ReleaseTiles() {
  for (Tile& tile : tiles) tile = Tile();
}

static inline void ConfigureTiles(const void* memory) {
  const auto& config = *static_cast<const tern::TileConfig*>(memory);
  Demand(config.palette == 1 && config.start_row == 0);
  for (const uint8_t byte : config.reserved) Demand(byte == 0);
  ReleaseTiles();
  for (int t = 0; t < kTileRows; ++t) {
    const int rows = config.rows[t], row_bytes = config.row_bytes[t];
    Demand(rows <= kTileRows && row_bytes <= kTileRowBytes);
    Demand((rows == 0) == (row_bytes == 0));
    Demand(t < kTiles || rows == 0);
    if (t >= kTiles) continue;
    tiles[t].rows = rows;
    tiles[t].row_bytes = row_bytes;
  }
}

static inline void ZeroTile(int t) {
  Demand(tiles[t].rows > 0);
  __builtin_memset(tiles[t].bytes, 0, sizeof(tiles[t].bytes));
}

static inline void LoadTile(int t, const void* base, size_t stride) {
  ZeroTile(t);
  for (int r = 0; r < tiles[t].rows; ++r) {
    __builtin_memcpy(tiles[t].bytes[r],
                     static_cast<const char*>(base) + r * stride,
                     tiles[t].row_bytes);
  }
}

static inline void StoreTile(int t, void* base, size_t stride) {
  Demand(tiles[t].rows > 0);
  for (int r = 0; r < tiles[t].rows; ++r) {
    __builtin_memcpy(static_cast<char*>(base) + r * stride, tiles[t].bytes[r],
                     tiles[t].row_bytes);
  }
}

// Products of unsigned bytes of `a` and signed ones of `b`, added to 32 bits.
static inline void MultiplyTiles(int c, int a, int b) {
  Tile &sums = tiles[c], &left = tiles[a], &right = tiles[b];
  Demand(c != a && c != b && a != b);
  Demand(sums.rows > 0 && sums.rows == left.rows);
  Demand(sums.row_bytes == right.row_bytes && sums.row_bytes % 4 == 0);
  Demand(left.row_bytes == 4 * right.rows);
  for (int row = 0; row < sums.rows; ++row) {
    for (int column = 0; column < sums.row_bytes; column += 4) {
      int32_t sum;
      __builtin_memcpy(&sum, &sums.bytes[row][column], sizeof(sum));
      for (int k = 0; k < left.row_bytes; ++k) {
        sum += left.bytes[row][k] *
               static_cast<int8_t>(right.bytes[k / 4][column + k % 4]);
      }
      __builtin_memcpy(&sums.bytes[row][column], &sum, sizeof(sum));
    }
  }
}

// Each byte times a matrix of bits, whose byte 7 makes the lowest bit.
static inline __m512i MultiplyBits(__m512i v, __m512i matrices) {
  uint8_t bytes[64], rows[64];
  _mm512_storeu_si512(bytes, v);
  _mm512_storeu_si512(rows, matrices);
  for (int i = 0; i < 64; ++i) {
    int product = 0;
    for (int bit = 0; bit < 8; ++bit) {
      const int row = rows[i / 8 * 8 + 7 - bit];
      product |= __builtin_parity(row & bytes[i]) << bit;
    }
    bytes[i] = static_cast<uint8_t>(product);
  }
  return _mm512_loadu_si512(bytes);
}

}  // namespace tern_emulated

#undef _tile_loadd
#undef _tile_stored
#undef _tile_zero
#undef _tile_dpbusd
#undef _mm512_gf2p8affine_epi64_epi8
#define _tile_loadconfig tern_emulated::ConfigureTiles
#define _tile_release tern_emulated::ReleaseTiles
#define _tile_zero tern_emulated::ZeroTile
#define _tile_loadd tern_emulated::LoadTile
#define _tile_stored tern_emulated::StoreTile
#define _tile_dpbusd tern_emulated::MultiplyTiles
#define _mm512_gf2p8affine_epi64_epi8(v, matrices, constant) \
  tern_emulated::MultiplyBits(v, matrices)

#define TERN_AMX_NAMESPACE amx_emulated
namespace tern {
TERN_DECLARE_TERNARY_GEMM(amx_emulated)
TERN_DECLARE_ATTENTION_INT8(amx_emulated)
}  // namespace tern
#else
#define TERN_AMX_NAMESPACE amx
#endif

#endif  // TERN_KERNELS_AMX_INTRINSICS_H_

// Ternary product by vpdpbusd on 2-bit codes.
//
//   sum_p q[p] T[p] = sum_p q[p] c[p] - sum_p q[p],   c = T + 1 in {0, 1, 2}
//
// The codes are lined up in registers by a shift and a mask, as
// ternary_tiles.h says; a tile of 6 rows x 64 columns keeps 24 accumulators.

#include "kernels/avx512_intrinsics.h"
#include "kernels/ternary_rows_avx512.h"
#include "kernels/ternary_tiles.h"

namespace tern::TERN_AVX512_NAMESPACE {
namespace {

constexpr int kVectors = kTileColumns / kLanes;
// How far ahead codes are fetched; past their end it does nothing. Measured on
// Zen 4, where the hardware alone falls behind at few rows of large matrices.
constexpr int kPrefetchBytes = 8 * kTileGroupBytes;
constexpr int kTileRows = 6;    // at most
constexpr int kRowChunk = 192;  // rows whose sums are at hand

struct Chunk {
  const TernaryKernelArgs* args;
  int first_row;
  int rows;
  int groups;                   // of 16 inputs
  int32_t row_sums[kRowChunk];  // sum_p q[p]
};

__m512i BroadcastFour(const uint8_t* q) {
  int32_t four;
  __builtin_memcpy(&four, q, sizeof(four));
  return _mm512_set1_epi32(four);
}

// Rows [row, row + kRows) of the chunk times one block of columns.
template <int kRows>
void Tile(const Chunk& chunk, int row, int column, const uint8_t* codes) {
  const int stride = chunk.args->x.stride;
  const uint8_t* const q = chunk.args->x.values +
                           static_cast<size_t>(chunk.first_row + row) * stride;
  const __m512i low_two_bits = _mm512_set1_epi8(3);

  __m512i sums[kRows][kVectors];
  for (int r = 0; r < kRows; ++r) {
    for (int v = 0; v < kVectors; ++v) sums[r][v] = _mm512_setzero_si512();
  }
  for (int group = 0; group < chunk.groups; ++group) {
    const uint8_t* const group_codes = codes + group * kTileGroupBytes;
    for (int line = 0; line < kTileGroupBytes; line += 64) {
      _mm_prefetch(
          reinterpret_cast<const char*>(group_codes + kPrefetchBytes + line),
          _MM_HINT_T0);
    }
    const uint8_t* const group_q = q + group * kTileInputs;
#pragma GCC unroll 4
    for (int s = 0; s < 4; ++s) {
      __m512i w[kVectors];
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        w[v] = _mm512_and_si512(
            _mm512_srli_epi16(_mm512_load_si512(group_codes + 64 * v), 2 * s),
            low_two_bits);
      }
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
        const __m512i four = BroadcastFour(group_q + r * stride + 4 * s);
#pragma GCC unroll 4
        for (int v = 0; v < kVectors; ++v) {
          sums[r][v] = _mm512_dpbusd_epi32(sums[r][v], four, w[v]);
        }
      }
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      StoreColumns(*chunk.args, chunk.first_row + row + r, column + v * kLanes,
                   sums[r][v], chunk.row_sums[row + r]);
    }
  }
}

void Block(const Chunk& chunk, int column, const uint8_t* codes) {
  // As equal as can be: 8 rows are 4 and 4, since 6 and 2 would be slower.
  int tiles = (chunk.rows + kTileRows - 1) / kTileRows;
  for (int row = 0; row < chunk.rows; --tiles) {
    const int rows = (chunk.rows - row + tiles - 1) / tiles;
    switch (rows) {
      case 1:
        Tile<1>(chunk, row, column, codes);
        break;
      case 2:
        Tile<2>(chunk, row, column, codes);
        break;
      case 3:
        Tile<3>(chunk, row, column, codes);
        break;
      case 4:
        Tile<4>(chunk, row, column, codes);
        break;
      case 5:
        Tile<5>(chunk, row, column, codes);
        break;
      default:
        Tile<6>(chunk, row, column, codes);
    }
    row += rows;
  }
}

}  // namespace

void TernaryGemm(const TernaryKernelArgs& args) {
  Chunk chunk;
  chunk.args = &args;
  const int depth = PaddedDepth(args.x.k);
  chunk.groups = depth / kTileInputs;
  const size_t block_bytes =
      static_cast<size_t>(chunk.groups) * kTileGroupBytes;
  for (int first = 0; first < args.x.rows; first += kRowChunk) {
    chunk.first_row = first;
    chunk.rows =
        args.x.rows - first < kRowChunk ? args.x.rows - first : kRowChunk;
    for (int r = 0; r < chunk.rows; ++r) {
      chunk.row_sums[r] =
          SumRow(args.x.values + static_cast<size_t>(first + r) * args.x.stride,
                 depth);
    }
    for (int column = args.first_column; column < args.last_column;
         column += kTileColumns) {
      Block(chunk, column, args.codes + column / kTileColumns * block_bytes);
    }
  }
}

}  // namespace tern::TERN_AVX512_NAMESPACE

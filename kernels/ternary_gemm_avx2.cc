// Ternary product by vpmaddubsw on 2-bit codes.
//
//   sum_p q[p] T[p] = sum_p q[p] c[p] - sum_p q[p],   c = T + 1 in {0, 1, 2}
//
// The codes are lined up in registers by a shift and a mask, as
// ternary_tiles.h says. A pair of products is at most 2 * 2 * 255 = 1020, so
// 32 of them fit int16 and only every 128 inputs are the sums widened.

#include <immintrin.h>

#include "kernels/ternary_table_gemm.h"
#include "kernels/ternary_tiles.h"
#include "kernels/variants_internal.h"

namespace tern::avx2 {
namespace {

constexpr int kLanes = 8;              // columns of a vector: int32 lanes
constexpr int kGroupsBeforeWiden = 8;  // 128 inputs, 32 additions of <= 1020
constexpr int kTileRows = 6;           // at most
constexpr int kRowChunk = 192;         // rows whose sums are at hand

struct Chunk {
  const TernaryKernelArgs* args;
  int first_row;
  int rows;
  int groups;                   // of 16 inputs
  int32_t row_sums[kRowChunk];  // sum_p q[p]
};

int32_t SumRow(const uint8_t* q, int bytes) {
  __m256i sums = _mm256_setzero_si256();
  for (int p = 0; p < bytes; p += 32) {
    const __m256i v =
        _mm256_loadu_si256(reinterpret_cast<const __m256i*>(q + p));
    sums = _mm256_add_epi64(sums, _mm256_sad_epu8(v, _mm256_setzero_si256()));
  }
  const __m128i halves = _mm_add_epi64(_mm256_castsi256_si128(sums),
                                       _mm256_extracti128_si256(sums, 1));
  return static_cast<int32_t>(_mm_extract_epi64(halves, 0) +
                              _mm_extract_epi64(halves, 1));
}

__m256i BroadcastFour(const uint8_t* q) {
  int32_t four;
  __builtin_memcpy(&four, q, sizeof(four));
  return _mm256_set1_epi32(four);
}

// sums += pairs of q w. As one unit, since gcc otherwise hoists products above
// additions, runs out of registers and spills accumulators.
inline void MultiplyAdd(__m256i& sums, __m256i q, __m256i w) {
  __m256i pairs;
  asm volatile(
      "vpmaddubsw %[w], %[q], %[pairs]\n\t"
      "vpaddw %[pairs], %[sums], %[sums]"
      : [sums] "+x"(sums), [pairs] "=&x"(pairs)
      : [q] "x"(q), [w] "x"(w));
}

// All ones in the lanes below `count`.
__m256i LaneMask(int count) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(count),
                            _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

// y[row][column ...] of one vector of columns; see variant.h for the formula.
void Store(const Chunk& chunk, int row, int column, __m256i sum) {
  const TernaryKernelArgs& args = *chunk.args;
  const RowScale scale = args.x.scales[chunk.first_row + row];
  float* const y = args.y +
                   static_cast<size_t>(chunk.first_row + row) * args.y_stride +
                   column;
  const int left = args.last_column - column;
  if (left <= 0) return;
  const __m256i mask = LaneMask(left);
  const __m256i column_sums =
      left >= kLanes ? _mm256_loadu_si256(reinterpret_cast<const __m256i*>(
                           args.column_sums + column))
                     : _mm256_maskload_epi32(args.column_sums + column, mask);
  const __m256 bias = left >= kLanes
                          ? _mm256_loadu_ps(args.bias + column)
                          : _mm256_maskload_ps(args.bias + column, mask);
  sum = _mm256_sub_epi32(sum, _mm256_set1_epi32(chunk.row_sums[row]));
  sum = _mm256_sub_epi32(
      sum,
      _mm256_mullo_epi32(column_sums, _mm256_set1_epi32(scale.zero_point)));
  const __m256 result = _mm256_fmadd_ps(
      _mm256_cvtepi32_ps(sum), _mm256_set1_ps(scale.scale * args.alpha), bias);
  if (left >= kLanes) {
    _mm256_storeu_ps(y, result);
  } else {
    _mm256_maskstore_ps(y, mask, result);
  }
}

// Rows [row, row + kRows) of the chunk times kVectors vectors of columns, whose
// codes begin at `codes`. The next tile's begin at `next_codes` and are fetched
// meanwhile: the lines of one tile lie 256 bytes apart.
template <int kRows, int kVectors>
void Tile(const Chunk& chunk, int row, int column, const uint8_t* codes,
          const uint8_t* next_codes) {
  const int stride = chunk.args->x.stride;
  const uint8_t* const q = chunk.args->x.values +
                           static_cast<size_t>(chunk.first_row + row) * stride;
  const __m256i low_two_bits = _mm256_set1_epi8(3);
  const __m256i ones = _mm256_set1_epi16(1);
  // A whole block is a stream, which the hardware prefetches by itself.
  constexpr int kNextBytes =
      kVectors == kTileColumns / kLanes ? 0 : 32 * kVectors;

  __m256i wide[kRows][kVectors] = {};
  for (int group = 0; group < chunk.groups;) {
    const int end = group + kGroupsBeforeWiden < chunk.groups
                        ? group + kGroupsBeforeWiden
                        : chunk.groups;
    __m256i narrow[kRows][kVectors] = {};
    for (; group < end; ++group) {
      const uint8_t* const group_codes = codes + group * kTileGroupBytes;
      const uint8_t* const group_q = q + group * kTileInputs;
      for (int line = 0; line < kNextBytes; line += 64) {
        _mm_prefetch(reinterpret_cast<const char*>(
                         next_codes + group * kTileGroupBytes + line),
                     _MM_HINT_T0);
      }
#pragma GCC unroll 4
      for (int s = 0; s < 4; ++s) {
        __m256i w[kVectors];
#pragma GCC unroll 8
        for (int v = 0; v < kVectors; ++v) {
          w[v] = _mm256_and_si256(
              _mm256_srli_epi16(
                  _mm256_load_si256(
                      reinterpret_cast<const __m256i*>(group_codes + 32 * v)),
                  2 * s),
              low_two_bits);
        }
#pragma GCC unroll 8
        for (int r = 0; r < kRows; ++r) {
          const __m256i four = BroadcastFour(group_q + r * stride + 4 * s);
#pragma GCC unroll 8
          for (int v = 0; v < kVectors; ++v) {
            MultiplyAdd(narrow[r][v], four, w[v]);
          }
        }
      }
    }
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) {
        wide[r][v] =
            _mm256_add_epi32(wide[r][v], _mm256_madd_epi16(narrow[r][v], ones));
      }
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      Store(chunk, row + r, column + v * kLanes, wide[r][v]);
    }
  }
}

// One block of 64 columns for kRows rows.
template <int kRows, int kVectors>
void Rows(const Chunk& chunk, int row, int column, const uint8_t* codes) {
  for (int v = 0; v < kTileColumns / kLanes; v += kVectors) {
    if (column + v * kLanes >= chunk.args->last_column) return;
    const bool is_last = v + kVectors == kTileColumns / kLanes;
    Tile<kRows, kVectors>(
        chunk, row, column + v * kLanes, codes + 32 * v,
        is_last ? codes + static_cast<size_t>(chunk.groups) * kTileGroupBytes
                : codes + 32 * (v + kVectors));
  }
}

// 16 registers: accumulators, the codes of a step, one broadcast, one product.
void Block(const Chunk& chunk, int column, const uint8_t* codes) {
  // As equal as can be: 8 rows are 4 and 4, since 6 and 2 would be slower.
  int tiles = (chunk.rows + kTileRows - 1) / kTileRows;
  for (int row = 0; row < chunk.rows; --tiles) {
    const int rows = (chunk.rows - row + tiles - 1) / tiles;
    switch (rows) {
      case 1:
        Rows<1, 8>(chunk, row, column, codes);
        break;
      case 2:
        Rows<2, 4>(chunk, row, column, codes);
        break;
      case 3:
        Rows<3, 2>(chunk, row, column, codes);
        break;
      case 4:
        Rows<4, 2>(chunk, row, column, codes);
        break;
      case 5:
        Rows<5, 2>(chunk, row, column, codes);
        break;
      default:
        Rows<6, 2>(chunk, row, column, codes);
    }
    row += rows;
  }
}

}  // namespace

void TernaryGemm(const TernaryKernelArgs& args) {
  int first_row = 0;
  if (args.last_column - args.first_column >= kMinTableColumns) {
    for (; first_row + kTableRows <= args.x.rows; first_row += kTableRows) {
      TernaryTableGemm(args, first_row);
    }
  }
  Chunk chunk;
  chunk.args = &args;
  const int depth = PaddedDepth(args.x.k);
  chunk.groups = depth / kTileInputs;
  const size_t block_bytes =
      static_cast<size_t>(chunk.groups) * kTileGroupBytes;
  for (int first = first_row; first < args.x.rows; first += kRowChunk) {
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

}  // namespace tern::avx2

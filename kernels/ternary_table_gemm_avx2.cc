// See ternary_table_gemm.h. Inputs are taken less 128, so that they fit int16
// sums well:
//
//   sum_p q[p] T[p] = sum_p (q[p] - 128) T[p] + 128 column_sum
//
// A byte of the packed codes (ternary_tiles.h) holds four 2-bit codes, so it is
// the number of an entry in a table of 171, of which 81 are in use. The eight
// tables of a pass, of 32 inputs, lie in the first-level cache while the
// columns of a block pass by, each with its sums of 16 rows.

#include <immintrin.h>

#include "kernels/ternary_table_gemm.h"
#include "kernels/ternary_tiles.h"

namespace tern::avx2 {
namespace {

constexpr int kRows = kTableRows;  // a vector of int16
constexpr int kPassGroups = 2;     // groups of inputs whose tables are at hand
constexpr int kPassBytes = kPassGroups * kTileGroupBytes;  // of codes, a tile
constexpr int kTables = 4;                                 // of a group
// Tables of the same number of both groups share lines of the cache.
constexpr int kEntryBytes = 2 * kRows * kPassGroups;
// A sum of four inputs is in [-512, 512]: 63 fit int16, a pass adds eight.
constexpr int kPassesBeforeWiden = 7;
// The sums of so many columns stay in the second-level cache.
constexpr int kBlockColumns = 1536;

// Where each table begins, in entries. Entries in use have no digit 3 in base
// 4, so tables at multiples of 64 would compete for 27 of the 64 sets of a
// first-level cache; these spread over all, at most 9 entries to a set.
constexpr int kTableStart[kTables] = {0, 229, 427, 652};
constexpr int kTableEntries = 652 + 171;

struct Scratch {
  alignas(64) uint8_t tables[kTableEntries * kEntryBytes];
  alignas(64) int16_t narrow[kBlockColumns * kRows];  // sums of some passes
  alignas(64) int32_t wide[kBlockColumns * kRows];    // of all before
};

// Transposes 16 rows of 16 bytes: byte c of row r goes to byte r of row c.
void Transpose(__m128i (&rows)[16]) {
  // Each step pairs row i with row i + 8; after four, all bits of the indices
  // have changed places.
  for (int step = 0; step < 4; ++step) {
    __m128i paired[16];
    for (int i = 0; i < 8; ++i) {
      paired[2 * i] = _mm_unpacklo_epi8(rows[i], rows[i + 8]);
      paired[2 * i + 1] = _mm_unpackhi_epi8(rows[i], rows[i + 8]);
    }
    for (int i = 0; i < 16; ++i) rows[i] = paired[i];
  }
}

// inputs[g][p] = the 16 rows' values of input p of group g less 128; `q` begins
// with those of group 0.
void LoadInputs(const uint8_t* q, int stride,
                __m256i (&inputs)[kPassGroups][kTileInputs]) {
  for (int group = 0; group < kPassGroups; ++group) {
    __m128i rows[kRows];
    for (int r = 0; r < kRows; ++r) {
      rows[r] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(
          q + static_cast<ptrdiff_t>(r) * stride + group * kTileInputs));
    }
    Transpose(rows);
    for (int p = 0; p < kTileInputs; ++p) {
      inputs[group][p] = _mm256_sub_epi16(_mm256_cvtepu8_epi16(rows[p]),
                                          _mm256_set1_epi16(128));
    }
  }
}

// x times the weight of a code: -x, 0, x.
__m256i Weighted(__m256i x, int code) {
  if (code == 0) return _mm256_sub_epi16(_mm256_setzero_si256(), x);
  return code == 1 ? _mm256_setzero_si256() : x;
}

// Entry d0 + 4 d1 + 16 d2 + 64 d3 of `table` = inputs `first` and each fourth
// one after it, weighted by codes d0 .. d3.
void BuildTable(const __m256i (&inputs)[kTileInputs], int first,
                uint8_t* table) {
  const __m256i a = inputs[first], b = inputs[first + 4];
  const __m256i c = inputs[first + 8], d = inputs[first + 12];
  __m256i low[9];
  for (int code = 0; code < 9; ++code) {
    low[code] = _mm256_add_epi16(Weighted(a, code % 3), Weighted(b, code / 3));
  }
  for (int d3 = 0; d3 < 3; ++d3) {
    for (int d2 = 0; d2 < 3; ++d2) {
      const __m256i high = _mm256_add_epi16(Weighted(c, d2), Weighted(d, d3));
      uint8_t* const entries = table + (16 * d2 + 64 * d3) * kEntryBytes;
      for (int code = 0; code < 9; ++code) {
        _mm256_store_si256(
            reinterpret_cast<__m256i*>(entries + (code % 3 + 4 * (code / 3)) *
                                                     kEntryBytes),
            _mm256_add_epi16(high, low[code]));
      }
    }
  }
}

void BuildTables(const uint8_t* q, int stride, uint8_t* tables) {
  __m256i inputs[kPassGroups][kTileInputs];
  LoadInputs(q, stride, inputs);
  for (int i = 0; i < kTables; ++i) {
    for (int group = 0; group < kPassGroups; ++group) {
      BuildTable(inputs[group], i,
                 tables + kTableStart[i] * kEntryBytes + group * 2 * kRows);
    }
  }
}

// Byte i of `codes` as an offset into a table, in bytes. A rotation, which
// unlike a shift needs no copy of `codes` before it.
template <int kByte>
uint64_t EntryOffset(uint64_t codes) {
  static_assert(kEntryBytes == 64);
  constexpr int kRight = (8 * kByte - 6) & 63;
  return (codes >> kRight | codes << (64 - kRight)) & 0xff * kEntryBytes;
}

// The entries of one column's bytes, from byte kFirst of each group's codes on,
// added up, and to `sums` unless it is null.
template <int kFirst>
__m256i AddEntries(const uint8_t* tables, uint64_t codes0, uint64_t codes1,
                   const int16_t* sums) {
  const auto entry = [&](int table, int group, uint64_t offset) {
    return *reinterpret_cast<const __m256i*>(
        tables + kTableStart[table] * kEntryBytes + group * 2 * kRows + offset);
  };
  __m256i sum = entry(0, 0, EntryOffset<kFirst>(codes0));
  if (sums != nullptr) {
    sum = _mm256_add_epi16(sum, *reinterpret_cast<const __m256i*>(sums));
  }
  sum = _mm256_add_epi16(sum, entry(1, 0, EntryOffset<kFirst + 1>(codes0)));
  sum = _mm256_add_epi16(sum, entry(2, 0, EntryOffset<kFirst + 2>(codes0)));
  sum = _mm256_add_epi16(sum, entry(3, 0, EntryOffset<kFirst + 3>(codes0)));
  sum = _mm256_add_epi16(sum, entry(0, 1, EntryOffset<kFirst>(codes1)));
  sum = _mm256_add_epi16(sum, entry(1, 1, EntryOffset<kFirst + 1>(codes1)));
  sum = _mm256_add_epi16(sum, entry(2, 1, EntryOffset<kFirst + 2>(codes1)));
  return _mm256_add_epi16(sum, entry(3, 1, EntryOffset<kFirst + 3>(codes1)));
}

// wide (+)= sums
void Widen(bool add, __m256i sums, int32_t* wide) {
  auto* const to = reinterpret_cast<__m256i*>(wide);
  __m256i low = _mm256_cvtepi16_epi32(_mm256_castsi256_si128(sums));
  __m256i high = _mm256_cvtepi16_epi32(_mm256_extracti128_si256(sums, 1));
  if (add) {
    low = _mm256_add_epi32(low, to[0]);
    high = _mm256_add_epi32(high, to[1]);
  }
  to[0] = low;
  to[1] = high;
}

// One pass over the 64 columns of a tile, whose codes of its groups are at
// `codes`.
template <bool kIsFirst, bool kIsLast>
void AddTile(const uint8_t* tables, const uint8_t* codes, bool add_to_wide,
             int16_t* narrow, int32_t* wide) {
  // The next pass's codes: the hardware does not foresee the step from tile to
  // tile.
  for (int line = 0; line < kPassBytes; line += 64) {
    _mm_prefetch(reinterpret_cast<const char*>(codes + kPassBytes + line),
                 _MM_HINT_T1);
  }
  const auto finish = [&](int column, __m256i sums) {
    if (kIsLast) {
      Widen(add_to_wide, sums, wide + column * kRows);
    } else {
      *reinterpret_cast<__m256i*>(narrow + column * kRows) = sums;
    }
  };
  for (int column = 0; column < kTileColumns; column += 2) {
    uint64_t codes0, codes1;  // of two columns
    __builtin_memcpy(&codes0, codes + 4 * column, sizeof(codes0));
    __builtin_memcpy(&codes1, codes + kTileGroupBytes + 4 * column,
                     sizeof(codes1));
    const int16_t* const sums = kIsFirst ? nullptr : narrow + column * kRows;
    finish(column, AddEntries<0>(tables, codes0, codes1, sums));
    finish(column + 1, AddEntries<4>(tables, codes0, codes1,
                                     kIsFirst ? nullptr : sums + kRows));
  }
}

// Transposes 8 x 8 of int32.
void Transpose(__m256i (&x)[8]) {
  for (int step = 0; step < 2; ++step) {
    // Within halves of 128 bits: 4 x 4 blocks, as Transpose() of bytes.
    __m256i paired[8];
    for (int block = 0; block < 8; block += 4) {
      for (int i = 0; i < 2; ++i) {
        paired[block + 2 * i] =
            _mm256_unpacklo_epi32(x[block + i], x[block + i + 2]);
        paired[block + 2 * i + 1] =
            _mm256_unpackhi_epi32(x[block + i], x[block + i + 2]);
      }
    }
    for (int i = 0; i < 8; ++i) x[i] = paired[i];
  }
  for (int i = 0; i < 4; ++i) {
    const __m256i low = x[i], high = x[i + 4];
    x[i] = _mm256_permute2x128_si256(low, high, 0x20);
    x[i + 4] = _mm256_permute2x128_si256(low, high, 0x31);
  }
}

// Eight columns of y: what the formula in variant.h needs of them.
struct OutputColumns {
  OutputColumns(const TernaryKernelArgs& args, int column)
      : mask(_mm256_cmpgt_epi32(_mm256_set1_epi32(args.last_column - column),
                                _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7))),
        sums(_mm256_maskload_epi32(args.column_sums + column, mask)),
        bias(_mm256_maskload_ps(args.bias + column, mask)),
        all(args.last_column - column >= 8) {}

  __m256i mask;  // columns before args.last_column
  __m256i sums;
  __m256 bias;
  bool all;  // eight are before args.last_column
};

// y[first_row + r ... + 7][column ... + 7]; `wide` begins with that column's
// sums.
void Store(const TernaryKernelArgs& args, const OutputColumns& columns,
           int first_row, int r, int column, const int32_t* wide) {
  __m256i sums[8];
  for (int c = 0; c < 8; ++c) {
    sums[c] = _mm256_load_si256(
        reinterpret_cast<const __m256i*>(wide + c * kRows + r));
  }
  Transpose(sums);
  for (int i = 0; i < 8; ++i) {
    const int row = first_row + r + i;
    const RowScale scale = args.x.scales[row];
    const __m256i sum = _mm256_add_epi32(
        sums[i], _mm256_mullo_epi32(columns.sums,
                                    _mm256_set1_epi32(128 - scale.zero_point)));
    const __m256 result =
        _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum),
                        _mm256_set1_ps(scale.scale * args.alpha), columns.bias);
    float* const y =
        args.y + static_cast<ptrdiff_t>(row) * args.y_stride + column;
    if (columns.all) {
      _mm256_storeu_ps(y, result);
    } else {  // many times slower on AMD
      _mm256_maskstore_ps(y, columns.mask, result);
    }
  }
}

// y of 16 columns from `column` on: a line of the cache is written at once,
// since rows of y may lie a multiple of 4096 bytes apart.
void StoreColumns(const TernaryKernelArgs& args, int first_row, int column,
                  const int32_t* wide) {
  const OutputColumns low(args, column), high(args, column + 8);
  for (int r = 0; r < kRows; r += 8) {
    Store(args, low, first_row, r, column, wide);
    Store(args, high, first_row, r, column + 8, wide + 8 * kRows);
  }
}

// Columns [first, last) of the tile; `first` begins a tile of packed codes.
void Block(const TernaryKernelArgs& args, int first_row, int first, int last,
           Scratch& scratch) {
  const int passes = PaddedDepth(args.x.k) / (kTileInputs * kPassGroups);
  const int tiles = (last - first + kTileColumns - 1) / kTileColumns;
  const ptrdiff_t tile_bytes = static_cast<ptrdiff_t>(passes) * kPassBytes;
  const uint8_t* const codes = args.codes + first / kTileColumns * tile_bytes;
  const uint8_t* const q =
      args.x.values + static_cast<ptrdiff_t>(first_row) * args.x.stride;

  for (int pass = 0; pass < passes; ++pass) {
    BuildTables(q + pass * kPassGroups * kTileInputs, args.x.stride,
                scratch.tables);
    const bool is_first = pass % kPassesBeforeWiden == 0;
    const bool is_end = pass == passes - 1;
    const bool is_last = (pass + 1) % kPassesBeforeWiden == 0 || is_end;
    const auto add =
        is_first  ? (is_last ? AddTile<true, true> : AddTile<true, false>)
        : is_last ? AddTile<false, true>
                  : AddTile<false, false>;
    for (int tile = 0; tile < tiles; ++tile) {
      const int column = tile * kTileColumns;
      add(scratch.tables, codes + tile * tile_bytes + pass * kPassBytes,
          pass >= kPassesBeforeWiden, scratch.narrow + column * kRows,
          scratch.wide + column * kRows);
      if (!is_end) continue;
      for (int c = column; c < column + kTileColumns && first + c < last;
           c += 16) {
        StoreColumns(args, first_row, first + c, scratch.wide + c * kRows);
      }
    }
  }
}

}  // namespace

void TernaryTableGemm(const TernaryKernelArgs& args, int first_row) {
  Scratch scratch;  // 200 KB
  for (int first = args.first_column; first < args.last_column;
       first += kBlockColumns) {
    const int last = first + kBlockColumns < args.last_column
                         ? first + kBlockColumns
                         : args.last_column;
    Block(args, first_row, first, last, scratch);
  }
}

}  // namespace tern::avx2

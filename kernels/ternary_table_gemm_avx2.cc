// See ternary_table_gemm.h. Inputs are taken less 128, so that they fit int16
// sums well:
//
//   sum_p q[p] T[p] = sum_p (q[p] - 128) T[p] + 128 column_sum
//
// A byte of the packed codes (ternary_tiles.h) holds four 2-bit codes, so it is
// the number of an entry in a table of 171, of which 81 are in use. The four
// tables of a group of 16 inputs lie in the first-level cache while the columns
// of a block pass by, each with its sums of 32 rows.

#include <immintrin.h>

#include "kernels/ternary_table_gemm.h"
#include "kernels/ternary_tiles.h"

namespace tern::avx2 {
namespace {

constexpr int kRows = kTableRows;
constexpr int kHalf = 16;  // rows of a vector of int16
constexpr int kEntryBytes = 2 * kRows;
constexpr int kTables = 4;  // of a group
// A sum of four inputs is in [-512, 512]: 63 fit int16, a group adds four.
constexpr int kGroupsBeforeWiden = 15;
// The sums of so many columns and the tables stay in the second-level cache.
constexpr int kBlockColumns = 768;

// Where each table begins, in entries. Entries in use have no digit 3 in base
// 4, so tables at multiples of 64 would compete for 27 of the 64 sets of a
// first-level cache; these spread over all, at most 9 entries to a set.
constexpr int kTableStart[kTables] = {0, 229, 427, 652};
constexpr int kTableEntries = 652 + 171;

struct Scratch {
  alignas(64) int16_t tables[kTableEntries * kRows];
  alignas(64) int16_t narrow[kBlockColumns * kRows];  // sums of some groups
  alignas(64) int32_t wide[kBlockColumns * kRows];    // of all before
};

__m256i* Vectors(int16_t* p) { return reinterpret_cast<__m256i*>(p); }

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

// inputs[p] = the 32 rows' values of input p less 128, for 16 inputs at `q`.
void LoadInputs(const uint8_t* q, int stride, __m256i (&inputs)[16][2]) {
  for (int half = 0; half < 2; ++half) {
    __m128i rows[16];
    for (int r = 0; r < 16; ++r) {
      rows[r] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(
          q + static_cast<ptrdiff_t>(half * kHalf + r) * stride));
    }
    Transpose(rows);
    for (int p = 0; p < 16; ++p) {
      inputs[p][half] = _mm256_sub_epi16(_mm256_cvtepu8_epi16(rows[p]),
                                         _mm256_set1_epi16(128));
    }
  }
}

// x times the weight of a code: -x, 0, x.
__m256i Weighted(__m256i x, int code) {
  if (code == 0) return _mm256_sub_epi16(_mm256_setzero_si256(), x);
  return code == 1 ? _mm256_setzero_si256() : x;
}

// Entry d0 + 4 d1 + 16 d2 + 64 d3 of `table` = the inputs weighted by codes
// d0 .. d3, in the given half of the rows.
void BuildTable(const __m256i (&inputs)[16][2], int first, int half,
                int16_t* table) {
  const __m256i a = inputs[first][half], b = inputs[first + 4][half];
  const __m256i c = inputs[first + 8][half], d = inputs[first + 12][half];
  __m256i low[9];
  for (int code = 0; code < 9; ++code) {
    low[code] = _mm256_add_epi16(Weighted(a, code % 3), Weighted(b, code / 3));
  }
  for (int d3 = 0; d3 < 3; ++d3) {
    for (int d2 = 0; d2 < 3; ++d2) {
      const __m256i high = _mm256_add_epi16(Weighted(c, d2), Weighted(d, d3));
      int16_t* const entries =
          table + (16 * d2 + 64 * d3) * kRows + half * kHalf;
      for (int code = 0; code < 9; ++code) {
        _mm256_store_si256(
            Vectors(entries + (code % 3 + 4 * (code / 3)) * kRows),
            _mm256_add_epi16(high, low[code]));
      }
    }
  }
}

void BuildTables(const uint8_t* q, int stride, int16_t* tables) {
  __m256i inputs[16][2];
  LoadInputs(q, stride, inputs);
  for (int i = 0; i < kTables; ++i) {
    for (int half = 0; half < 2; ++half) {
      BuildTable(inputs, i, half, tables + kTableStart[i] * kRows);
    }
  }
}

// Byte i of `codes` as an offset into a table, in bytes.
template <int kByte>
uint64_t EntryOffset(uint64_t codes) {
  constexpr int kShift = 8 * kByte - 6;  // times kEntryBytes = 64
  static_assert(kEntryBytes == 64);
  constexpr uint64_t kMask = 0xff * kEntryBytes;
  if constexpr (kShift < 0) {
    return codes << -kShift & kMask;
  } else {
    return codes >> kShift & kMask;
  }
}

// sums (+)= the entries of one column's four bytes, from byte kFirst on.
template <bool kAdd, int kFirst>
void AddColumn(const uint8_t* tables, uint64_t codes, int16_t* sums) {
  __m256i low, high;
  const auto add = [&](int table, uint64_t offset, bool is_first) {
    const auto* const entry = reinterpret_cast<const __m256i*>(
        tables + kTableStart[table] * kEntryBytes + offset);
    low = is_first ? entry[0] : _mm256_add_epi16(low, entry[0]);
    high = is_first ? entry[1] : _mm256_add_epi16(high, entry[1]);
  };
  if (kAdd) {
    low = Vectors(sums)[0];
    high = Vectors(sums)[1];
  }
  add(0, EntryOffset<kFirst>(codes), !kAdd);
  add(1, EntryOffset<kFirst + 1>(codes), false);
  add(2, EntryOffset<kFirst + 2>(codes), false);
  add(3, EntryOffset<kFirst + 3>(codes), false);
  Vectors(sums)[0] = low;
  Vectors(sums)[1] = high;
}

// narrow (+)= the products of one group of inputs and the 64 columns of a tile,
// whose codes are `codes`.
template <bool kAdd>
void AddTile(const int16_t* tables, const uint8_t* codes, int16_t* narrow) {
  const auto* const bytes = reinterpret_cast<const uint8_t*>(tables);
  // The next group's codes: the hardware does not foresee the step from tile to
  // tile.
  for (int line = 0; line < kTileGroupBytes; line += 64) {
    _mm_prefetch(reinterpret_cast<const char*>(codes + kTileGroupBytes + line),
                 _MM_HINT_T1);
  }
  for (int column = 0; column < kTileColumns; column += 2) {
    uint64_t two_columns;
    __builtin_memcpy(&two_columns, codes + 4 * column, sizeof(two_columns));
    AddColumn<kAdd, 0>(bytes, two_columns, narrow + column * kRows);
    AddColumn<kAdd, 4>(bytes, two_columns, narrow + (column + 1) * kRows);
  }
}

// wide (+)= narrow
void Widen(bool add, int columns, int16_t* narrow, int32_t* wide) {
  for (int i = 0; i < columns * kRows; i += 8) {
    auto* const to = reinterpret_cast<__m256i*>(wide + i);
    const __m256i sums = _mm256_cvtepi16_epi32(
        _mm_load_si128(reinterpret_cast<const __m128i*>(narrow + i)));
    *to = add ? _mm256_add_epi32(*to, sums) : sums;
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
  const int groups = PaddedDepth(args.x.k) / kTileInputs;
  const int tiles = (last - first + kTileColumns - 1) / kTileColumns;
  const int columns = tiles * kTileColumns;
  const ptrdiff_t tile_bytes = static_cast<ptrdiff_t>(groups) * kTileGroupBytes;
  const uint8_t* const codes = args.codes + first / kTileColumns * tile_bytes;
  const uint8_t* const q =
      args.x.values + static_cast<ptrdiff_t>(first_row) * args.x.stride;

  for (int group = 0; group < groups; ++group) {
    BuildTables(q + group * kTileInputs, args.x.stride, scratch.tables);
    const int since_widened = group % kGroupsBeforeWiden;
    for (int tile = 0; tile < tiles; ++tile) {
      const auto add = since_widened == 0 ? AddTile<false> : AddTile<true>;
      add(scratch.tables, codes + tile * tile_bytes + group * kTileGroupBytes,
          scratch.narrow + tile * kTileColumns * kRows);
    }
    if (since_widened == kGroupsBeforeWiden - 1 || group == groups - 1) {
      Widen(group >= kGroupsBeforeWiden, columns, scratch.narrow, scratch.wide);
    }
  }
  for (int column = first; column < last; column += 16) {
    StoreColumns(args, first_row, column,
                 scratch.wide + (column - first) * kRows);
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

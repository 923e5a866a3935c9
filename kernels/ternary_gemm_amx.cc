// Ternary product by tdpbusd on codes that are unpacked into tiles.
//
//   sum_p q[p] T[p] = sum_p q[p] c[p] - sum_p q[p],   c = T + 1 in {0, 1, 2}
//
// A tile of codes has 16 columns and 64 inputs, four inputs of each column in a
// row: what a shift and a mask make of the packed form (ternary_tiles.h). A
// panel, 32 columns by up to 768 inputs, is unpacked once and then serves all
// rows of a chunk, 32 at a time: two tiles of inputs by two of codes, so that
// each tile that is loaded is used twice. Panel and sums share the first-level
// cache (48 KiB where there is AMX).
//
// Few rows do not pay for the unpacking; they go to the AVX-512 product, which
// reads the same packed form.

#include "kernels/amx_intrinsics.h"
#include "kernels/ternary_rows_avx512.h"
#include "kernels/ternary_tiles.h"

namespace tern::TERN_AMX_NAMESPACE {
namespace {

constexpr int kTileRows = 16;
constexpr int kTileRowBytes = 64;
constexpr int kTileBytes = kTileRows * kTileRowBytes;
constexpr int kStepInputs = 64;  // of one tile
constexpr int kStepGroups = kStepInputs / kTileInputs;
constexpr int kPanelColumns = 2 * kLanes;
constexpr int kPanelSteps = 12;
constexpr int kBlockRows = 2 * kTileRows;
constexpr int kRowChunk = 128;
constexpr int kSumStride = kPanelColumns * sizeof(int32_t);  // bytes
// A guess, not measured: a first try on a Sapphire Rapids did 52 GMAC/s at 1
// row and 874 at 16, where AVX-512 does 130 to 350.
constexpr int kMinRows = 4;

struct Chunk {
  const TernaryKernelArgs* args;
  int first_row;
  int rows;
  int32_t row_sums[kRowChunk];  // sum_p q[p]
  alignas(64) int32_t sums[kRowChunk][kPanelColumns];
  alignas(64) uint8_t panel[kPanelSteps * 2 * kTileBytes];
};

// gcc's tile loads do not say that they read memory.
void FinishStores() { asm volatile("" ::: "memory"); }

// Tiles 0 and 1 are sums of the upper rows, 2 and 3 of the lower ones, 4 and 5
// their inputs, 6 and 7 codes. The intrinsics want their numbers as literals.
void ConfigureTiles(int rows) {
  const int upper = rows < kTileRows ? rows : kTileRows;
  const int lower = rows - upper;
  TileConfig config;
  const int tile_rows[] = {upper, upper, lower,     lower,
                           upper, lower, kTileRows, kTileRows};
  for (int tile = 0; tile < 8; ++tile) {
    config.rows[tile] = static_cast<uint8_t>(tile_rows[tile]);
    config.row_bytes[tile] = tile_rows[tile] > 0 ? kTileRowBytes : 0;
  }
  FinishStores();
  _tile_loadconfig(&config);
}

// Two tiles of codes for each step: 16 columns from `codes` on, and the next.
void UnpackPanel(const uint8_t* codes, int steps, uint8_t* panel) {
  const __m512i low_two_bits = _mm512_set1_epi8(3);
  for (int step = 0; step < steps; ++step) {
    for (int half = 0; half < 2; ++half) {
      for (int group = 0; group < kStepGroups; ++group) {
        const __m512i packed = _mm512_loadu_si512(
            codes + (step * kStepGroups + group) * kTileGroupBytes +
            half * kTileRowBytes);
#pragma GCC unroll 4
        for (int s = 0; s < 4; ++s) {
          _mm512_storeu_si512(
              panel,
              _mm512_and_si512(_mm512_srli_epi16(packed, 2 * s), low_two_bits));
          panel += kTileRowBytes;
        }
      }
    }
  }
  FinishStores();
}

// Adds to the sums of up to 16 rows, or with kTwoTiles of up to 32, what
// `steps` steps of the panel give.
template <bool kTwoTiles>
void MultiplyBlock(const uint8_t* q, size_t stride, const uint8_t* panel,
                   int steps, int32_t* sums) {
  int32_t* const lower_sums = sums + kTileRows * kPanelColumns;
  _tile_loadd(0, sums, kSumStride);
  _tile_loadd(1, sums + kLanes, kSumStride);
  if constexpr (kTwoTiles) {
    _tile_loadd(2, lower_sums, kSumStride);
    _tile_loadd(3, lower_sums + kLanes, kSumStride);
  }
  for (int step = 0; step < steps; ++step) {
    _tile_loadd(6, panel, kTileRowBytes);
    _tile_loadd(4, q, stride);
    _tile_dpbusd(0, 4, 6);
    _tile_loadd(7, panel + kTileBytes, kTileRowBytes);
    _tile_dpbusd(1, 4, 7);
    if constexpr (kTwoTiles) {
      _tile_loadd(5, q + kTileRows * stride, stride);
      _tile_dpbusd(2, 5, 6);
      _tile_dpbusd(3, 5, 7);
    }
    panel += 2 * kTileBytes;
    q += kStepInputs;
  }
  _tile_stored(0, sums, kSumStride);
  _tile_stored(1, sums + kLanes, kSumStride);
  if constexpr (kTwoTiles) {
    _tile_stored(2, lower_sums, kSumStride);
    _tile_stored(3, lower_sums + kLanes, kSumStride);
  }
}

// All rows of the chunk times `steps` steps, the first of which is
// `first_step`; the panel holds their codes.
void MultiplyRows(Chunk& chunk, int first_step, int steps) {
  const size_t stride = chunk.args->x.stride;
  const uint8_t* q = chunk.args->x.values + chunk.first_row * stride +
                     static_cast<size_t>(first_step) * kStepInputs;
  int configured = 0;
  for (int row = 0; row < chunk.rows; row += kBlockRows) {
    const int left = chunk.rows - row;
    const int rows = left < kBlockRows ? left : kBlockRows;
    if (rows != configured) ConfigureTiles(rows);
    configured = rows;
    const auto multiply =
        rows > kTileRows ? MultiplyBlock<true> : MultiplyBlock<false>;
    multiply(q + row * stride, stride, chunk.panel, steps, chunk.sums[row]);
  }
}

// Columns [column, column + 32) of all rows of the chunk.
void Panel(Chunk& chunk, int column) {
  const TernaryKernelArgs& args = *chunk.args;
  const int steps = PaddedDepth(args.x.k) / kStepInputs;
  const size_t step_bytes = kStepGroups * kTileGroupBytes;
  const uint8_t* const codes = args.codes +
                               column / kTileColumns * (steps * step_bytes) +
                               column % kTileColumns * sizeof(uint32_t);
  __builtin_memset(chunk.sums, 0, chunk.rows * sizeof(chunk.sums[0]));
  for (int step = 0; step < steps; step += kPanelSteps) {
    const int now = steps - step < kPanelSteps ? steps - step : kPanelSteps;
    UnpackPanel(codes + step * step_bytes, now, chunk.panel);
    MultiplyRows(chunk, step, now);
  }
  for (int row = 0; row < chunk.rows; ++row) {
    for (int v = 0; v < kPanelColumns; v += kLanes) {
      StoreColumns(args, chunk.first_row + row, column + v,
                   _mm512_loadu_si512(&chunk.sums[row][v]),
                   chunk.row_sums[row]);
    }
  }
}

// As equal as can be, in whole tiles: 144 rows are 80 and 64.
int ChunkRows(int rows) {
  const int chunks = (rows + kRowChunk - 1) / kRowChunk;
  const int tiles = (rows + kTileRows - 1) / kTileRows;
  return (tiles + chunks - 1) / chunks * kTileRows;
}

}  // namespace

void TernaryGemm(const TernaryKernelArgs& args) {
  if (args.x.rows < kMinRows) {
    TERN_AVX512_NAMESPACE::TernaryGemm(args);
    return;
  }
  Chunk chunk;
  chunk.args = &args;
  const int depth = PaddedDepth(args.x.k);
  const int chunk_rows = ChunkRows(args.x.rows);
  for (int first = 0; first < args.x.rows; first += chunk_rows) {
    const int left = args.x.rows - first;
    chunk.first_row = first;
    chunk.rows = left < chunk_rows ? left : chunk_rows;
    for (int r = 0; r < chunk.rows; ++r) {
      chunk.row_sums[r] =
          SumRow(args.x.values + static_cast<size_t>(first + r) * args.x.stride,
                 depth);
    }
    for (int column = args.first_column; column < args.last_column;
         column += kPanelColumns) {
      Panel(chunk, column);
    }
  }
  _tile_release();
}

}  // namespace tern::TERN_AMX_NAMESPACE

// Ternary product by tdpbusd on codes that are unpacked into tiles.
//
//   sum_p q[p] T[p] = sum_p q[p] c[p] - sum_p q[p],   c = T + 1 in {0, 1, 2}
//
// A tile of codes has 16 columns and 64 inputs, four inputs of each column in a
// row. A panel, 32 columns by up to 512 inputs, is unpacked into tiles and then
// serves all rows of a chunk, 32 at a time: two tiles of inputs by two of
// codes, so that each tile that is loaded is used twice.
//
// The tile unit takes 16 cycles for a product, in which the vector units can
// do 32 operations. So between the steps of a block they store the columns of
// the block before; and beside the last block of a panel they unpack the next
// one, each step in the place of the one that was just used. Two panels, or one
// of twice the length, leave the first-level cache (48 KiB where there is AMX)
// too little room for the inputs.
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
constexpr int kStepPieces = 2 * kStepGroups;
constexpr int kPanelColumns = 2 * kLanes;
constexpr int kPanelSteps = 8;
constexpr int kBlockRows = 2 * kTileRows;
constexpr int kRowChunk = 128;
constexpr int kSumStride = kPanelColumns * sizeof(int32_t);  // bytes
constexpr int kPrefetchBytes = 8 * kTileGroupBytes;
// Measured on a Sapphire Rapids: equal at 4 rows, 1.7 times as fast at 8.
constexpr int kMinRows = 5;

int Ceiling(int a, int b) { return (a + b - 1) / b; }

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
  KeepOrder();
  _tile_loadconfig(&config);
}

// Unpacks a panel, piece by piece: a step of it is two tiles, 16 columns from
// `codes` on and the next 16; a piece is 64 bytes of the packed form, a quarter
// of a tile.
class Unpacker {
 public:
  Unpacker() = default;
  Unpacker(const uint8_t* codes, int steps, uint8_t* panel)
      : codes_(codes), panel_(panel), left_(steps * kStepPieces) {}

  int left() const { return left_; }  // pieces

  void Advance(int pieces) {
    if (pieces > left_) pieces = left_;
    for (left_ -= pieces; pieces > 0; --pieces) {
      _mm_prefetch(reinterpret_cast<const char*>(codes_ + kPrefetchBytes),
                   _MM_HINT_T0);
      const __m512i packed = _mm512_loadu_si512(codes_);
      _mm512_storeu_si512(panel_, TwoBits<0>(packed));
      _mm512_storeu_si512(panel_ + kTileRowBytes, TwoBits<2>(packed));
      _mm512_storeu_si512(panel_ + 2 * kTileRowBytes, TwoBits<4>(packed));
      _mm512_storeu_si512(panel_ + 3 * kTileRowBytes, TwoBits<6>(packed));
      panel_ += 4 * kTileRowBytes;
      codes_ += kTileGroupBytes;
      if (++group_ < kStepGroups) continue;
      group_ = 0;
      codes_ += second_tile_ ? -kTileRowBytes
                             : kTileRowBytes - kStepGroups * kTileGroupBytes;
      second_tile_ = !second_tile_;
    }
  }

 private:
  // Bits kFirst and kFirst + 1 of each byte, by a product with a matrix of bits
  // whose first byte makes the highest bit: one instruction, where a shift and
  // a mask are two.
  template <int kFirst>
  static __m512i TwoBits(__m512i packed) {
    constexpr uint64_t kMatrix = uint64_t{0x0102} << (48 + kFirst);
    return _mm512_gf2p8affine_epi64_epi8(
        packed, _mm512_set1_epi64(static_cast<int64_t>(kMatrix)), 0);
  }

  const uint8_t* codes_ = nullptr;
  uint8_t* panel_ = nullptr;
  int left_ = 0;
  int group_ = 0;  // of the tile
  bool second_tile_ = false;
};

// Stores the columns of a block, row by row.
class Storer {
 public:
  Storer() = default;
  // sums [rows, kPanelColumns] of products with codes, for rows from `row` on.
  Storer(const TernaryKernelArgs& args, const int32_t* sums,
         const int32_t* row_sums, int row, int rows, int column)
      : args_(&args),
        sums_(sums),
        row_sums_(row_sums),
        row_(row),
        left_(rows),
        column_(column) {}

  int left() const { return left_; }  // rows

  void Advance(int rows) {
    if (rows > left_) rows = left_;
    if (rows <= 0) return;
    const ColumnTerms first(*args_, column_);
    const ColumnTerms second(*args_, column_ + kLanes);
    const float alpha = args_->alpha;
    const size_t y_stride = args_->y_stride;
    const RowScale* scales = args_->x.scales + row_;
    float* y = args_->y + row_ * y_stride + column_;
    row_ += rows;
    for (left_ -= rows; rows > 0; --rows) {
      const RowTerms row(*scales++, alpha, *row_sums_++);
      StoreColumns(first, row, _mm512_loadu_si512(sums_), y);
      StoreColumns(second, row, _mm512_loadu_si512(sums_ + kLanes), y + kLanes);
      sums_ += kPanelColumns;
      y += y_stride;
    }
  }

 private:
  const TernaryKernelArgs* args_ = nullptr;
  const int32_t* sums_ = nullptr;
  const int32_t* row_sums_ = nullptr;
  int row_ = 0;
  int left_ = 0;
  int column_ = 0;
};

// Up to 32 rows times a panel, and what is done beside it.
struct Block {
  const uint8_t* q;  // of the first row and the panel's first input
  size_t stride;
  const uint8_t* panel;
  int steps;
  int32_t* sums;      // [rows, kPanelColumns]
  bool continues;     // adds to what `sums` holds
  int pieces_a_step;  // to unpack
  int stores_a_step;  // rows
};

// kTwoTiles: more than 16 rows.
template <bool kTwoTiles>
void Multiply(const Block& block, Unpacker& unpacker_left,
              Storer& storer_left) {
  // Copies, which live in registers: read back from memory they would wait for
  // the tile stores before them.
  Unpacker unpacker = unpacker_left;
  Storer storer = storer_left;
  int32_t* const sums = block.sums;
  int32_t* const lower_sums = sums + kTileRows * kPanelColumns;
  if (block.continues) {
    _tile_loadd(0, sums, kSumStride);
    _tile_loadd(1, sums + kLanes, kSumStride);
    if constexpr (kTwoTiles) {
      _tile_loadd(2, lower_sums, kSumStride);
      _tile_loadd(3, lower_sums + kLanes, kSumStride);
    }
  } else {
    _tile_zero(0);
    _tile_zero(1);
    if constexpr (kTwoTiles) {
      _tile_zero(2);
      _tile_zero(3);
    }
  }
  const uint8_t* q = block.q;
  const uint8_t* panel = block.panel;
  for (int step = 0; step < block.steps; ++step) {
    _tile_loadd(6, panel, kTileRowBytes);
    _tile_loadd(4, q, block.stride);
    _tile_dpbusd(0, 4, 6);
    _tile_loadd(7, panel + kTileBytes, kTileRowBytes);
    _tile_dpbusd(1, 4, 7);
    if constexpr (kTwoTiles) {
      _tile_loadd(5, q + kTileRows * block.stride, block.stride);
      _tile_dpbusd(2, 5, 6);
      _tile_dpbusd(3, 5, 7);
    }
    KeepOrder();
    unpacker.Advance(block.pieces_a_step);
    storer.Advance(block.stores_a_step);
    panel += 2 * kTileBytes;
    q += kStepInputs;
  }
  _tile_stored(0, sums, kSumStride);
  _tile_stored(1, sums + kLanes, kSumStride);
  if constexpr (kTwoTiles) {
    _tile_stored(2, lower_sums, kSumStride);
    _tile_stored(3, lower_sums + kLanes, kSumStride);
  }
  unpacker_left = unpacker;
  storer_left = storer;
}

// Some rows of x times all columns. Their inputs go in parts, a panel's worth
// each.
class Chunk {
 public:
  Chunk(const TernaryKernelArgs& args, int first_row, int rows)
      : args_(args),
        first_row_(first_row),
        rows_(rows),
        steps_(PaddedDepth(args.x.k) / kStepInputs),
        parts_(Ceiling(steps_, kPanelSteps)) {
    for (int r = 0; r < rows; ++r) {
      row_sums_[r] = SumRow(Inputs(r), steps_ * kStepInputs);
    }
  }

  void Run() {
    Unpacker unpacker = PanelUnpacker(args_.first_column, 0);
    unpacker.Advance(unpacker.left());
    for (int column = args_.first_column; column < args_.last_column;
         column += kPanelColumns) {
      for (int part = 0; part < parts_; ++part) MultiplyPanel(column, part);
    }
    storer_.Advance(storer_.left());
  }

 private:
  const uint8_t* Inputs(int row) const {
    return args_.x.values +
           static_cast<size_t>(first_row_ + row) * args_.x.stride;
  }

  int FirstStep(int part) const { return steps_ * part / parts_; }

  Unpacker PanelUnpacker(int column, int part) {
    const size_t step_bytes = kStepGroups * kTileGroupBytes;
    const uint8_t* const codes =
        args_.codes + column / kTileColumns * (steps_ * step_bytes) +
        column % kTileColumns * sizeof(uint32_t) + FirstStep(part) * step_bytes;
    return Unpacker(codes, FirstStep(part + 1) - FirstStep(part), panel_);
  }

  Unpacker NextUnpacker(int column, int part) {
    if (part + 1 < parts_) return PanelUnpacker(column, part + 1);
    column += kPanelColumns;
    return column < args_.last_column ? PanelUnpacker(column, 0) : Unpacker();
  }

  // All rows times the panel, which is then the next one.
  void MultiplyPanel(int column, int part) {
    KeepOrder();
    Unpacker unpacker = NextUnpacker(column, part);
    const int first = FirstStep(part), steps = FirstStep(part + 1) - first;
    for (int row = 0; row < rows_; row += kBlockRows) {
      const int left = rows_ - row;
      const int rows = left < kBlockRows ? left : kBlockRows;
      if (rows != configured_rows_) ConfigureTiles(rows);
      configured_rows_ = rows;
      const Block block = {
          .q = Inputs(row) + first * kStepInputs,
          .stride = static_cast<size_t>(args_.x.stride),
          .panel = panel_,
          .steps = steps,
          // Those of a single part are stored before the block after next.
          .sums = sums_[parts_ > 1 ? row : row % (2 * kBlockRows)],
          .continues = part > 0,
          .pieces_a_step = row + rows == rows_ ? kStepPieces : 0,
          .stores_a_step = Ceiling(storer_.left(), steps),
      };
      (rows > kTileRows ? Multiply<true> : Multiply<false>)(block, unpacker,
                                                            storer_);
      if (part + 1 < parts_) continue;
      storer_ = Storer(args_, block.sums, row_sums_ + row, first_row_ + row,
                       rows, column);
    }
    unpacker.Advance(unpacker.left());
  }

  const TernaryKernelArgs& args_;
  const int first_row_;
  const int rows_;
  const int steps_;  // of all inputs
  const int parts_;
  int configured_rows_ = 0;
  Storer storer_;
  int32_t row_sums_[kRowChunk];  // sum_p q[p]
  alignas(64) int32_t sums_[kRowChunk][kPanelColumns];
  alignas(64) uint8_t panel_[kPanelSteps * 2 * kTileBytes];
};

// As equal as can be, in whole tiles: 144 rows are 80 and 64.
int ChunkRows(int rows) {
  const int tiles = Ceiling(rows, kTileRows);
  return Ceiling(tiles, Ceiling(rows, kRowChunk)) * kTileRows;
}

}  // namespace

void TernaryGemm(const TernaryKernelArgs& args) {
  if (args.x.rows < kMinRows) {
    TERN_AVX512_NAMESPACE::TernaryGemm(args);
    return;
  }
  const int chunk_rows = ChunkRows(args.x.rows);
  for (int first = 0; first < args.x.rows; first += chunk_rows) {
    const int left = args.x.rows - first;
    Chunk(args, first, left < chunk_rows ? left : chunk_rows).Run();
  }
  _tile_release();
}

}  // namespace tern::TERN_AMX_NAMESPACE

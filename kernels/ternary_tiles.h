// The packed form of ternary weights that the vector variants share.
//
// Columns (output features) stand in blocks of 64, inputs in groups of 16.
// A block is a run of groups; a group is 256 bytes, four for each column:
//   byte 4 c + i, bits 2 s and 2 s + 1:  code of column c, input 4 s + i
// So a vector of any width holds whole columns, four bytes each, and shifting
// it right by 2 s bits lines up the codes of inputs 4 s .. 4 s + 3. Columns
// past n and inputs past k have code 1 (weight 0).

#ifndef TERN_KERNELS_TERNARY_TILES_H_
#define TERN_KERNELS_TERNARY_TILES_H_

#include <cstddef>

#include "kernels/quantized_rows.h"

namespace tern {

enum : int {
  kTileColumns = 64,      // columns of a block
  kTileInputs = 16,       // inputs of a group
  kTileGroupBytes = 256,  // one group of one block
};

}  // namespace tern

#endif  // TERN_KERNELS_TERNARY_TILES_H_

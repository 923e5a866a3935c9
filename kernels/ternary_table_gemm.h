// The ternary product by look-up, for many rows and columns.
//
// Four inputs have only 81 signed sums +-a +-b +-c +-d (with zeros). For a tile
// of 32 rows they are worked out once, as vectors over the rows, and then each
// column takes one vector addition for its four inputs: 128 multiply-adds in
// two instructions, where vpmaddubsw and vpaddw do 64 in four. ("Four
// Russians"; BiQGEMM, Jeon et al. 2020, does it for binary weights.)

#ifndef TERN_KERNELS_TERNARY_TABLE_GEMM_H_
#define TERN_KERNELS_TERNARY_TABLE_GEMM_H_

#include "kernels/variants_internal.h"

namespace tern {

enum : int {
  kTableRows = 32,  // of a tile
  // Fewer columns do not repay the tables. Measured on Zen 4.
  kMinTableColumns = 384,
};

namespace avx2 {

// Rows [first_row, first_row + kTableRows) of the product, the same bits as
// TernaryGemm.
void TernaryTableGemm(const TernaryKernelArgs& args, int first_row);

}  // namespace avx2
}  // namespace tern

#endif  // TERN_KERNELS_TERNARY_TABLE_GEMM_H_

// The ternary product by look-up, for many rows and columns.
//
// Four inputs have only 81 signed sums +-a +-b +-c +-d (with zeros). For a tile
// of 16 rows they are worked out once, as vectors over the rows, and then each
// column takes one vector addition for its four inputs: 64 multiply-adds in
// one instruction, where vpmaddubsw and vpaddw do 32 in two. ("Four
// Russians"; BiQGEMM, Jeon et al. 2020, does it for binary weights.)

#ifndef TERN_KERNELS_TERNARY_TABLE_GEMM_H_
#define TERN_KERNELS_TERNARY_TABLE_GEMM_H_

#include "kernels/variants_internal.h"

namespace tern {

enum : int {
  kTableRows = 16,  // of a tile
  // Fewer columns do not repay the tables. Measured on Zen 3 and 4.
  kMinTableColumns = 384,
};

namespace avx2 {

// Rows [first_row, first_row + kTableRows) of the product, the same bits as
// TernaryGemm.
void TernaryTableGemm(const TernaryKernelArgs& args, int first_row);

}  // namespace avx2
}  // namespace tern

#endif  // TERN_KERNELS_TERNARY_TABLE_GEMM_H_

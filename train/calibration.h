// A better start for a ternary student than its teacher's weights made ternary
// one by one: each matrix's T is chosen so that, on some texts, the student's
// layers say what the teacher's do, the first layer first.
//
// OPTQ (Frantar et al. 2022), for {-1, 0, 1} times one scale: columns are
// quantized in turn, and what one gets wrong is made up for by those that
// follow. The inputs are the student's own, behind the layers that were chosen
// before, and the outputs that they are to give are the teacher's, so that a
// layer also mends what those before it got wrong.
//
// One thread calls; the work is shared by libtorch's threads.

#ifndef TERN_TRAIN_CALIBRATION_H_
#define TERN_TRAIN_CALIBRATION_H_

#include <vector>

#include "absl/functional/function_ref.h"
#include "torch/types.h"
#include "train/bert_module.h"
#include "train/fake_quantize.h"
#include "train/token_batch.h"

namespace tern {

// Of the vectors that a matrix multiplies, t in the teacher and s in the
// student, over tokens.
struct InputMoments {
  torch::Tensor student;  // [k, k] sum of s s^T
  torch::Tensor cross;    // [k, k] sum of t s^T
};

struct CalibratedMatrix {
  TernaryWeights ternary;
  torch::Tensor latent;  // [n, k] what T was rounded from
};

// T and a scale for w [n, k], so that the sum of |w t - scale T s|^2 is small:
//   H = student + lambda I, lambda = 0.1 of its mean diagonal
//   v = w (cross + lambda I) H^-1     the best float weights for the student
//   T column by column from v, the column of the largest diagonal first:
//     T_j = the nearest of {-1, 0, 1} to v_j / alpha, alpha that of TWN of v
//     v_l -= (v_j - alpha T_j) U_jl / U_jj for l > j, H^-1 = U^T U
//                                     (Frantar et al. 2022, eq. 2, algorithm 1)
//   scale = <v, T H> / <T, T H>       least squares, v as it was at first
// v_j at its turn is what T_j is rounded from.
CalibratedMatrix CalibrateMatrix(const torch::Tensor& w,
                                 const InputMoments& moments);

// Gives the student's ternary matrices latent weights that TWN makes such T and
// scales of: what T was rounded from, moved where TWN's threshold needs it
// (latent_weights.h), times a number. Its other weights stay.
// Each token counts the same: without that, those of [SEP] and a few more,
// whose activations are a hundred times as large, outweigh all others.
// Both models have the same shape. `progress` is told how many layers are done.
void Calibrate(const BertModule& teacher, const std::vector<TokenBatch>& texts,
               BertModule& student,
               absl::FunctionRef<void(int layers)> progress);

}  // namespace tern

#endif  // TERN_TRAIN_CALIBRATION_H_

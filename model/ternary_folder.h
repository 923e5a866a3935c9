// Ternary model folders: reading their matrices, and making such a folder.
//
// A ternary matrix is W = scale * T, T in {-1, 0, +1}; model.safetensors holds
//   <name>        U8  [n, ceil(k / 4)]  four codes per byte, lowest bits first,
//                                       code = t + 1; a row's last byte is
//                                       filled up with code 1, the zero
//   <name>_scale  F32 [1] or [n]        one scale per matrix, or per row of
//                                       the word embeddings
//
// docs/model_format.md has the whole format.
//
// Thread-safe: pure functions.

#ifndef TERN_MODEL_TERNARY_FOLDER_H_
#define TERN_MODEL_TERNARY_FOLDER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "kernels/ternary_gemm.h"
#include "model/folder_writer.h"
#include "model/safetensors.h"

namespace tern {

// Bytes of a row of k codes.
inline constexpr int64_t TernaryRowBytes(int64_t k) { return (k + 3) / 4; }

// The name of the scales of the ternary tensor `name`.
std::string ScaleName(absl::string_view name);

// A ternary matrix with a scale for each row; codes as in TernaryMatrix.
struct TernaryRows {
  int n = 0;
  int k = 0;
  absl::Span<const uint8_t> codes;  // [n, TernaryRowBytes(k)]
  std::vector<float> scales;        // [n]
};

// The two kinds of ternary tensor; their codes view `file`.
// Errors: NOT_FOUND; INVALID_ARGUMENT with what was expected and found: dtype,
// shape, a code 3 or a filling other than code 1 (with its index), a scale that
// is negative or not finite.
absl::StatusOr<TernaryMatrix> ReadTernaryMatrix(const Safetensors& file,
                                                const std::string& name, int n,
                                                int k);
absl::StatusOr<TernaryRows> ReadTernaryRows(const Safetensors& file,
                                            const std::string& name, int n,
                                            int k);

// W of either kind, [n, k]; StorageOf(name) says which. Errors: as above.
absl::StatusOr<std::vector<float>> ReadTernaryAsFloats(const Safetensors& file,
                                                       const std::string& name,
                                                       int n, int k);

// Codes [n, TernaryRowBytes(k)] of t [n, k] in {-1, 0, 1}.
std::vector<uint8_t> EncodeTernary(absl::Span<const int8_t> t, int64_t n,
                                   int64_t k);

// t [k] of one row of codes.
void DecodeTernary(const uint8_t* codes, int64_t k, int8_t* t);

// What ternarization did to one tensor.
struct TernarizedTensor {
  std::string name;
  int64_t weights = 0;
  int64_t zeros = 0;
  double squared_norm = 0;   // ||W||^2, Frobenius
  double squared_error = 0;  // ||W - scale T||^2
};

// Called before the first and after each tensor.
using Progress = absl::FunctionRef<void(int done, int total)>;

// Makes the ternary folder `to` from the ordinary folder `from`, without
// training: by TWN (kernels/ternarize.h), one scale per matrix, one per row for
// the word embeddings; position embeddings become F16, everything else F32. It
// holds exactly the tensors that the model uses, under their current names.
// Where `report` is given, appends to it each tensor that became ternary.
// Errors: what loading `from` gives; FAILED_PRECONDITION where it is ternary
// already; what FolderWriter::Write gives.
absl::Status TernarizeFolder(
    const std::string& from, const std::string& to,
    Progress progress = [](int, int) {},
    std::vector<TernarizedTensor>* report = nullptr,
    FinishFolder finish = LeaveFolder);

}  // namespace tern

#endif  // TERN_MODEL_TERNARY_FOLDER_H_

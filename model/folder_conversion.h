// Makes model folders from model folders: ternary ones, and ones of another
// float dtype. The new folder holds exactly the tensors that the model uses,
// under their current names.
//
// Thread-safe: pure functions.

#ifndef TERN_MODEL_FOLDER_CONVERSION_H_
#define TERN_MODEL_FOLDER_CONVERSION_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/safetensors.h"

namespace tern {

// Called before the first and after each tensor.
using Progress = absl::FunctionRef<void(int done, int total)>;

struct TernarizedTensor {
  std::string name;
  int64_t weights = 0;
  double zero_share = 0;      // in [0, 1]
  double relative_error = 0;  // ||W - scale T|| / ||W||, Frobenius norms
};

struct TernarizeReport {
  std::vector<TernarizedTensor> tensors;
  double relative_error = 0;  // over all of them
};

// Post-training ternarization by TWN (kernels/ternarize.h): one scale per
// matrix, one per row for the word embeddings; everything else becomes F32.
// Errors: what loading `from` gives; FAILED_PRECONDITION where it is ternary
// already; what FolderWriter::Write gives.
absl::StatusOr<TernarizeReport> TernarizeFolder(const std::string& from,
                                                const std::string& to,
                                                Progress progress);

// Writes the model with all tensors as F32, F16 or BF16; ternary ones become
// scale * t. Errors: as above; a number too large for the dtype.
absl::Status ConvertFolder(const std::string& from, const std::string& to,
                           DType dtype, Progress progress);

}  // namespace tern

#endif  // TERN_MODEL_FOLDER_CONVERSION_H_

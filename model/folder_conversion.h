// Makes model folders of another float dtype.
//
// Thread-safe: pure functions.

#ifndef TERN_MODEL_FOLDER_CONVERSION_H_
#define TERN_MODEL_FOLDER_CONVERSION_H_

#include <string>

#include "absl/status/status.h"
#include "model/safetensors.h"
#include "model/ternary_folder.h"

namespace tern {

// Writes the model `from` as the ordinary folder `to`, all tensors F32, F16 or
// BF16; ternary ones become scale * t. It holds exactly the tensors that the
// model uses, under their current names.
// Errors: what loading `from` gives; INVALID_ARGUMENT for a number too large
// for the dtype; what FolderWriter::Write gives.
absl::Status ConvertFolder(
    const std::string& from, const std::string& to, DType dtype,
    Progress progress = [](int, int) {});

}  // namespace tern

#endif  // TERN_MODEL_FOLDER_CONVERSION_H_

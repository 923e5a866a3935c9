// Writes a model folder: config, tensors, and the tokenizer's and
// sentence-transformers' files.
//
// One thread.

#ifndef TERN_MODEL_FOLDER_WRITER_H_
#define TERN_MODEL_FOLDER_WRITER_H_

#include <cstdint>
#include <list>
#include <map>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/types/span.h"
#include "model/safetensors.h"
#include "nlohmann/json.hpp"

namespace tern {

// Adds files to a folder before it takes its place.
using FinishFolder = absl::FunctionRef<absl::Status(const std::string& folder)>;
inline absl::Status LeaveFolder(const std::string&) { return absl::OkStatus(); }

class FolderWriter {
 public:
  FolderWriter() = default;
  FolderWriter(const FolderWriter&) = delete;

  // Adds a tensor of finite floats, rounded to `dtype`: F32, F16 or BF16.
  // Errors: INVALID_ARGUMENT naming the tensor and the index of a number too
  // large for the dtype.
  absl::Status AddFloats(const std::string& name, std::vector<int64_t> shape,
                         absl::Span<const float> floats, DType dtype);

  // Adds codes and scales of W = scale * t; t [n, k] in {-1, 0, 1}, scales [1]
  // or [n].
  void AddTernary(const std::string& name, int64_t n, int64_t k,
                  absl::Span<const int8_t> t, absl::Span<const float> scales);

  // Writes the folder `to`: what was added, the tokenizer's and
  // sentence-transformers' files of the folder `from`, and its config.json with
  // this dtype and quantization_config (null for none). The folder appears
  // whole, with what `finish` adds, or not at all.
  // Errors: ALREADY_EXISTS where `to` is there and not an empty folder;
  // NOT_FOUND where `from` has no vocab.txt; what errno says.
  absl::Status Write(const std::string& to, const std::string& from,
                     DType dtype, const nlohmann::json& quantization,
                     FinishFolder finish = LeaveFolder) const;

 private:
  void Add(const std::string& name, DType dtype, std::vector<int64_t> shape,
           std::vector<uint8_t> bytes);
  absl::Status WriteFiles(const std::string& folder, const std::string& from,
                          const nlohmann::json& config) const;

  std::map<std::string, Tensor> tensors_;
  std::list<std::vector<uint8_t>> bytes_;  // what the tensors view
};

}  // namespace tern

#endif  // TERN_MODEL_FOLDER_WRITER_H_

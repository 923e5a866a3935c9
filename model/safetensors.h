// The safetensors file format: names, types, shapes and bytes.
//
// 8 bytes of header length, a JSON header, then the tensors' bytes
// (https://github.com/huggingface/safetensors). Reading copies the file into
// memory, since a mapped one that somebody truncates would kill the process,
// and checks all of it against hostile input before anyone sees a tensor;
// writing is atomic (a temporary file, then rename).
//
// Thread-safe: constant after Open.

#ifndef TERN_MODEL_SAFETENSORS_H_
#define TERN_MODEL_SAFETENSORS_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace tern {

enum class DType { kF32, kF16, kBF16, kI64, kI32, kU8, kI8, kBool, kF64, kI16 };

size_t DTypeBytes(DType dtype);
const char* DTypeName(DType dtype);  // as the format spells it: "F32"

// Views the Safetensors' memory.
struct Tensor {
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;
  absl::Span<const uint8_t> bytes;

  int64_t size() const;             // number of elements
  std::string ShapeString() const;  // "[3072, 768]"
};

class Safetensors {
 public:
  // Errors: NOT_FOUND; INVALID_ARGUMENT naming file and tensor for a truncated
  // file, a header over 100 MB or past the end, malformed JSON, an unknown
  // dtype, a shape that disagrees with the byte range, overlapping ranges or
  // gaps; RESOURCE_EXHAUSTED without memory for it.
  static absl::StatusOr<std::unique_ptr<Safetensors>> Open(
      const std::string& path);
  Safetensors(const Safetensors&) = delete;

  const std::map<std::string, Tensor>& tensors() const { return tensors_; }
  const std::map<std::string, std::string>& metadata() const {
    return metadata_;
  }
  const std::string& path() const { return path_; }
  int64_t file_bytes() const { return file_bytes_; }

  // The tensor, which must have this shape and any of F32, F16 and BF16, as
  // floats. Errors: NOT_FOUND, or INVALID_ARGUMENT with what was expected and
  // found, or for a NaN or infinity, with its index.
  absl::StatusOr<std::vector<float>> ReadFloats(
      absl::string_view name, absl::Span<const int64_t> shape) const;

  // The bytes of a U8 tensor of this shape.
  absl::StatusOr<absl::Span<const uint8_t>> ReadBytes(
      absl::string_view name, absl::Span<const int64_t> shape) const;

  bool Has(absl::string_view name) const;

  // Checks every tensor against the SHA-256 that the metadata holds for it
  // (key "sha256:<name>", hex). Errors: DATA_LOSS naming the tensor;
  // NOT_FOUND where the file has no checksums.
  absl::Status VerifyChecksums() const;

 private:
  Safetensors() = default;
  absl::StatusOr<const Tensor*> Find(absl::string_view name,
                                     absl::Span<const int64_t> shape) const;

  std::string path_;
  int64_t file_bytes_ = 0;
  std::unique_ptr<uint8_t[]> data_;  // of all tensors
  std::map<std::string, Tensor> tensors_;
  std::map<std::string, std::string> metadata_;
};

// Writes tensors, widest dtype first and then by name, so that each is aligned;
// with a checksum of each in the metadata. The same tensors give the same file,
// byte for byte.
// Errors: what errno says, naming the file, which then is as it was before.
absl::Status WriteSafetensors(const std::string& path,
                              const std::map<std::string, Tensor>& tensors,
                              std::map<std::string, std::string> metadata);

}  // namespace tern

#endif  // TERN_MODEL_SAFETENSORS_H_

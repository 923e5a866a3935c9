#include "model/folder_writer.h"

#include <unistd.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "files/regular_file.h"
#include "model/half.h"
#include "model/json_file.h"
#include "model/sentence_transformer.h"
#include "model/ternary_folder.h"

namespace tern {
namespace {

namespace fs = std::filesystem;

// What a tokenizer reads; only vocab.txt is always there.
constexpr const char* kTokenizerFiles[] = {
    "vocab.txt", "tokenizer_config.json", "tokenizer.json",
    "special_tokens_map.json", "added_tokens.json"};

constexpr int64_t kMaxCopiedFileBytes = int64_t{256} << 20;

absl::Span<const uint8_t> AsBytes(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

absl::Status FileError(const std::error_code& error, absl::string_view what,
                       const std::string& path) {
  return absl::ErrnoToStatus(error.value(), absl::StrCat(what, " ", path));
}

absl::Status CopyFile(const fs::path& from, const fs::path& to) {
  absl::StatusOr<std::string> text =
      ReadSmallFile(from.string(), kMaxCopiedFileBytes);
  if (!text.ok()) return text.status();
  std::error_code error;
  fs::create_directories(to.parent_path(), error);
  if (error) return FileError(error, "create", to.parent_path().string());
  return WriteFileAtomically(to.string(), {AsBytes(*text)});
}

// Copies what belongs to the model besides config.json and its tensors.
absl::Status CopyOtherFiles(const std::string& from, const std::string& to) {
  std::vector<std::string> files = SentenceTransformerFiles(from);
  for (const char* file : kTokenizerFiles) {
    const fs::path source = fs::path(from) / file;
    std::error_code error;
    if (fs::exists(source, error)) {
      files.push_back(file);
    } else if (std::strcmp(file, "vocab.txt") == 0) {
      return absl::NotFoundError(
          absl::StrCat(source.string(), ": the model has no vocabulary"));
    }
  }
  for (const std::string& file : files) {
    absl::Status copied = CopyFile(fs::path(from) / file, fs::path(to) / file);
    if (!copied.ok()) return copied;
  }
  return absl::OkStatus();
}

// The config.json of `from`, changed to say how the tensors are now.
absl::StatusOr<nlohmann::json> NewConfig(const std::string& from, DType dtype,
                                         const nlohmann::json& quantization) {
  absl::StatusOr<nlohmann::json> config =
      ReadJsonObjectFile(absl::StrCat(from, "/config.json"));
  if (!config.ok()) return config;
  // transformers 5 says "dtype", older ones "torch_dtype".
  const char* key = config->contains("dtype") ? "dtype" : "torch_dtype";
  (*config)[key] = dtype == DType::kF16    ? "float16"
                   : dtype == DType::kBF16 ? "bfloat16"
                                           : "float32";
  config->erase("quantization_config");
  if (!quantization.is_null()) (*config)["quantization_config"] = quantization;
  return config;
}

template <typename T>
std::vector<uint8_t> Bytes(absl::Span<const T> values) {
  std::vector<uint8_t> bytes(values.size() * sizeof(T));
  if (!bytes.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

// The floats as F16 or BF16 bits.
absl::StatusOr<std::vector<uint16_t>> Narrow(const std::string& name,
                                             absl::Span<const float> floats,
                                             DType dtype) {
  std::vector<uint16_t> halves(floats.size());
  for (size_t i = 0; i < floats.size(); ++i) {
    const bool half = dtype == DType::kF16;
    halves[i] = half ? FloatToHalf(floats[i]) : FloatToBFloat16(floats[i]);
    const float back =
        half ? HalfToFloat(halves[i]) : BFloat16ToFloat(halves[i]);
    if (!std::isfinite(back)) {
      return absl::InvalidArgumentError(
          absl::StrCat("tensor '", name, "': ", floats[i], " at index ", i,
                       " is too large for ", DTypeName(dtype)));
    }
  }
  return halves;
}

}  // namespace

void FolderWriter::Add(const std::string& name, DType dtype,
                       std::vector<int64_t> shape, std::vector<uint8_t> bytes) {
  bytes_.push_back(std::move(bytes));
  tensors_[name] = {dtype, std::move(shape), bytes_.back()};
}

absl::Status FolderWriter::AddFloats(const std::string& name,
                                     std::vector<int64_t> shape,
                                     absl::Span<const float> floats,
                                     DType dtype) {
  if (dtype == DType::kF32) {
    Add(name, dtype, std::move(shape), Bytes(floats));
    return absl::OkStatus();
  }
  absl::StatusOr<std::vector<uint16_t>> halves = Narrow(name, floats, dtype);
  if (!halves.ok()) return halves.status();
  Add(name, dtype, std::move(shape), Bytes(absl::MakeConstSpan(*halves)));
  return absl::OkStatus();
}

void FolderWriter::AddTernary(const std::string& name, int64_t n, int64_t k,
                              absl::Span<const int8_t> t,
                              absl::Span<const float> scales) {
  Add(name, DType::kU8, {n, TernaryRowBytes(k)}, EncodeTernary(t, n, k));
  Add(ScaleName(name), DType::kF32, {static_cast<int64_t>(scales.size())},
      Bytes(scales));
}

absl::Status FolderWriter::WriteFiles(const std::string& folder,
                                      const std::string& from,
                                      const nlohmann::json& config) const {
  absl::Status status = CopyOtherFiles(from, folder);
  if (!status.ok()) return status;
  status = WriteSafetensors(absl::StrCat(folder, "/model.safetensors"),
                            tensors_, {{"format", "pt"}});
  if (!status.ok()) return status;
  const std::string text = config.dump(2) + "\n";
  return WriteFileAtomically(absl::StrCat(folder, "/config.json"),
                             {AsBytes(text)});
}

absl::Status FolderWriter::Write(const std::string& to, const std::string& from,
                                 DType dtype,
                                 const nlohmann::json& quantization,
                                 FinishFolder finish) const {
  absl::StatusOr<nlohmann::json> config = NewConfig(from, dtype, quantization);
  if (!config.ok()) return config.status();
  std::error_code error;
  if (fs::exists(to, error) &&
      !(fs::is_directory(to, error) && fs::is_empty(to, error))) {
    return absl::AlreadyExistsError(
        absl::StrCat(to, ": expected a new or empty folder"));
  }
  const std::string trimmed =
      fs::path(to).has_filename() ? to : fs::path(to).parent_path().string();
  const std::string temporary = absl::StrCat(trimmed, ".", getpid(), ".tmp");
  fs::create_directories(temporary, error);
  if (error) return FileError(error, "create", temporary);
  absl::Status status = WriteFiles(temporary, from, *config);
  if (status.ok()) status = finish(temporary);
  if (status.ok()) {
    fs::rename(temporary, trimmed, error);
    if (error) status = FileError(error, "create", to);
  }
  if (!status.ok()) fs::remove_all(temporary, error);
  return status;
}

}  // namespace tern

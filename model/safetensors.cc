#include "model/safetensors.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "files/regular_file.h"
#include "model/half.h"
#include "model/json_file.h"
#include "model/sha256.h"

namespace tern {
namespace {

constexpr size_t kLengthBytes = 8;             // before the header
constexpr size_t kMaxHeaderBytes = 100000000;  // as the reference library
constexpr absl::string_view kMetadataKey = "__metadata__";
constexpr absl::string_view kChecksumPrefix = "sha256:";

struct DTypeInfo {
  DType dtype;
  const char* name;
  size_t bytes;
};

constexpr DTypeInfo kDTypes[] = {
    {DType::kF32, "F32", 4},   {DType::kF16, "F16", 2},
    {DType::kBF16, "BF16", 2}, {DType::kI64, "I64", 8},
    {DType::kI32, "I32", 4},   {DType::kU8, "U8", 1},
    {DType::kI8, "I8", 1},     {DType::kBool, "BOOL", 1},
    {DType::kF64, "F64", 8},   {DType::kI16, "I16", 2},
};

const DTypeInfo& Info(DType dtype) {
  return *std::find_if(std::begin(kDTypes), std::end(kDTypes),
                       [&](const DTypeInfo& i) { return i.dtype == dtype; });
}

std::string ShapeToString(absl::Span<const int64_t> shape) {
  return absl::StrCat("[", absl::StrJoin(shape, ", "), "]");
}

// A tensor as the header describes it, before its bytes are known to exist.
struct HeaderEntry {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;
  uint64_t begin = 0;  // bytes after the header
  uint64_t end = 0;
};

// Reads one value of the header. Errors say what was expected and found, but
// not where.
absl::StatusOr<HeaderEntry> ParseEntry(const std::string& name,
                                       const nlohmann::json& json) {
  HeaderEntry entry;
  entry.name = name;
  const auto bad = [&](absl::string_view expected) {
    return absl::InvalidArgumentError(absl::StrCat(
        "tensor '", name, "': expected ", expected, ", found ",
        json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)
            .substr(0, 200)));
  };
  if (!json.is_object() || json.size() != 3 || !json.contains("dtype") ||
      !json.contains("shape") || !json.contains("data_offsets")) {
    return bad("an object of dtype, shape and data_offsets");
  }

  const nlohmann::json& dtype = json["dtype"];
  const DTypeInfo* info =
      std::find_if(std::begin(kDTypes), std::end(kDTypes), [&](auto& i) {
        return dtype.is_string() &&
               dtype.get_ref<const std::string&>() == i.name;
      });
  if (info == std::end(kDTypes)) {
    return bad("a dtype of F32, F16, BF16, F64, I64, I32, I16, I8, U8, BOOL");
  }
  entry.dtype = info->dtype;

  const nlohmann::json& shape = json["shape"];
  if (!shape.is_array()) return bad("a shape that is a list");
  uint64_t bytes = info->bytes;
  for (const nlohmann::json& extent : shape) {
    if (!extent.is_number_unsigned() ||
        __builtin_mul_overflow(bytes, extent.get<uint64_t>(), &bytes) ||
        bytes > INT64_MAX || extent.get<uint64_t>() > INT64_MAX) {
      return bad("a shape of non-negative integers below 2^63 bytes");
    }
    entry.shape.push_back(extent.get<int64_t>());
  }

  const nlohmann::json& offsets = json["data_offsets"];
  if (!offsets.is_array() || offsets.size() != 2 ||
      !offsets[0].is_number_unsigned() || !offsets[1].is_number_unsigned()) {
    return bad("data_offsets of two non-negative integers");
  }
  entry.begin = offsets[0].get<uint64_t>();
  entry.end = offsets[1].get<uint64_t>();
  if (entry.end < entry.begin || entry.end - entry.begin != bytes) {
    return bad(absl::StrCat("data_offsets that span ", bytes, " bytes"));
  }
  return entry;
}

// Checks that the entries cover `data_bytes` bytes without overlap or gap.
absl::Status CheckLayout(std::vector<HeaderEntry>& entries,
                         uint64_t data_bytes) {
  std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
    return std::tie(a.begin, a.end) < std::tie(b.begin, b.end);
  });
  uint64_t expected_begin = 0;
  for (const HeaderEntry& entry : entries) {
    if (entry.begin != expected_begin) {
      return absl::InvalidArgumentError(
          absl::StrCat("tensor '", entry.name, "': expected to begin at byte ",
                       expected_begin, " of the data, begins at ", entry.begin,
                       entry.begin < expected_begin ? " (overlap)" : " (gap)"));
    }
    if (entry.end > data_bytes) {
      return absl::InvalidArgumentError(
          absl::StrCat("truncated: tensor '", entry.name, "' ends at byte ",
                       entry.end, " of the data, the file has ", data_bytes));
    }
    expected_begin = entry.end;
  }
  if (expected_begin != data_bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected ", expected_begin,
                     " bytes of data, the file has ", data_bytes));
  }
  return absl::OkStatus();
}

absl::Status ParseMetadata(const nlohmann::json& json,
                           std::map<std::string, std::string>& metadata) {
  if (!json.is_object()) {
    return absl::InvalidArgumentError(
        "__metadata__: expected an object of strings");
  }
  for (const auto& [key, value] : json.items()) {
    if (!value.is_string()) {
      return absl::InvalidArgumentError(
          absl::StrCat("__metadata__: expected a string for '", key,
                       "', found ", value.type_name()));
    }
    metadata[key] = value.get<std::string>();
  }
  return absl::OkStatus();
}

absl::Status Prefixed(const std::string& path, const absl::Status& status) {
  return absl::Status(status.code(),
                      absl::StrCat(path, ": ", status.message()));
}

// Fills `floats` from values of `dtype`, one of the three kinds of float.
void Widen(DType dtype, const uint8_t* bytes, std::vector<float>& floats) {
  if (dtype == DType::kF32) {
    if (floats.empty()) return;
    std::memcpy(floats.data(), bytes, floats.size() * sizeof(float));
    return;
  }
  for (size_t i = 0; i < floats.size(); ++i) {
    uint16_t half;
    std::memcpy(&half, bytes + 2 * i, sizeof(half));
    floats[i] =
        dtype == DType::kF16 ? HalfToFloat(half) : BFloat16ToFloat(half);
  }
}

// Index of the first NaN or infinity, or -1.
int64_t FirstNonFinite(const std::vector<float>& floats) {
  constexpr uint32_t kExponent = 0x7f800000;
  for (size_t i = 0; i < floats.size(); ++i) {
    if ((std::bit_cast<uint32_t>(floats[i]) & kExponent) == kExponent) return i;
  }
  return -1;
}

// Of the bytes after the first eight, which say how many they are.
absl::StatusOr<size_t> HeaderBytes(const uint8_t* length, size_t file_bytes) {
  uint64_t header_bytes = 0;  // little-endian, as every machine we run on
  std::memcpy(&header_bytes, length, kLengthBytes);
  const uint64_t rest_bytes = file_bytes - kLengthBytes;
  if (header_bytes > kMaxHeaderBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected a header of at most ", kMaxHeaderBytes,
                     " bytes, found a length of ", header_bytes));
  }
  if (header_bytes > rest_bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("truncated: the header has ", header_bytes,
                     " bytes, the file ", rest_bytes, " after its length"));
  }
  return header_bytes;
}

// The tensors, which take up all of the `data_bytes` after the header.
absl::StatusOr<std::vector<HeaderEntry>> ParseHeader(
    absl::string_view header, size_t data_bytes,
    std::map<std::string, std::string>& metadata) {
  absl::StatusOr<nlohmann::json> json = ParseJsonObject(header, "header");
  if (!json.ok()) return json.status();
  std::vector<HeaderEntry> entries;
  for (const auto& [name, value] : json->items()) {
    if (name == kMetadataKey) {
      absl::Status parsed = ParseMetadata(value, metadata);
      if (!parsed.ok()) return parsed;
      continue;
    }
    absl::StatusOr<HeaderEntry> entry = ParseEntry(name, value);
    if (!entry.ok()) return entry.status();
    entries.push_back(*std::move(entry));
  }
  absl::Status layout = CheckLayout(entries, data_bytes);
  if (!layout.ok()) return layout;
  return entries;
}

absl::Span<const uint8_t> AsBytes(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

}  // namespace

size_t DTypeBytes(DType dtype) { return Info(dtype).bytes; }

const char* DTypeName(DType dtype) { return Info(dtype).name; }

int64_t Tensor::size() const {
  int64_t size = 1;
  for (int64_t extent : shape) size *= extent;
  return size;
}

std::string Tensor::ShapeString() const { return ShapeToString(shape); }

absl::StatusOr<std::unique_ptr<Safetensors>> Safetensors::Open(
    const std::string& path) {
  absl::StatusOr<RegularFile> source = RegularFile::Open(path);
  if (!source.ok()) return source.status();
  const size_t file_bytes = source->bytes();
  if (file_bytes < kLengthBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": truncated: ", file_bytes,
                     " bytes, no room for the header's length"));
  }

  uint8_t length[kLengthBytes];
  absl::Status status = source->Read(absl::MakeSpan(length));
  if (!status.ok()) return status;
  const absl::StatusOr<size_t> header_bytes = HeaderBytes(length, file_bytes);
  if (!header_bytes.ok()) return Prefixed(path, header_bytes.status());
  std::vector<uint8_t> header(*header_bytes);
  status = source->Read(absl::MakeSpan(header));
  if (!status.ok()) return status;

  // What the header tells is as long as the rest of the file, which is not read
  // before.
  std::unique_ptr<Safetensors> file(new Safetensors());
  file->path_ = path;
  file->file_bytes_ = file_bytes;
  const size_t data_bytes = file_bytes - kLengthBytes - *header_bytes;
  absl::StatusOr<std::vector<HeaderEntry>> entries =
      ParseHeader({reinterpret_cast<const char*>(header.data()), header.size()},
                  data_bytes, file->metadata_);
  if (!entries.ok()) return Prefixed(path, entries.status());
  file->data_.reset(new (std::nothrow) uint8_t[data_bytes]);
  if (file->data_ == nullptr) {
    return absl::ResourceExhaustedError(
        absl::StrCat(path, ": no memory for its ", file_bytes, " bytes"));
  }
  status = source->Read({file->data_.get(), data_bytes});
  if (!status.ok()) return status;
  for (HeaderEntry& entry : *entries) {
    Tensor& tensor = file->tensors_[entry.name];
    tensor.dtype = entry.dtype;
    tensor.shape = std::move(entry.shape);
    tensor.bytes = {file->data_.get() + entry.begin, entry.end - entry.begin};
  }
  return file;
}

bool Safetensors::Has(absl::string_view name) const {
  return tensors_.count(std::string(name)) > 0;
}

absl::StatusOr<const Tensor*> Safetensors::Find(
    absl::string_view name, absl::Span<const int64_t> shape) const {
  const auto found = tensors_.find(std::string(name));
  if (found == tensors_.end()) {
    return absl::NotFoundError(
        absl::StrCat(path_, ": tensor '", name, "' is missing"));
  }
  const Tensor& tensor = found->second;
  if (absl::MakeConstSpan(tensor.shape) != shape) {
    return absl::InvalidArgumentError(absl::StrCat(
        path_, ": tensor '", name, "': expected ", ShapeToString(shape),
        ", file has ", tensor.ShapeString()));
  }
  return &tensor;
}

absl::StatusOr<std::vector<float>> Safetensors::ReadFloats(
    absl::string_view name, absl::Span<const int64_t> shape) const {
  absl::StatusOr<const Tensor*> tensor = Find(name, shape);
  if (!tensor.ok()) return tensor.status();
  const DType dtype = (*tensor)->dtype;
  if (dtype != DType::kF32 && dtype != DType::kF16 && dtype != DType::kBF16) {
    return absl::InvalidArgumentError(absl::StrCat(
        path_, ": tensor '", name, "': expected F32, F16 or BF16, file has ",
        DTypeName(dtype)));
  }
  std::vector<float> floats((*tensor)->size());
  Widen(dtype, (*tensor)->bytes.data(), floats);
  if (const int64_t index = FirstNonFinite(floats); index >= 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        path_, ": tensor '", name, "': expected finite numbers, found ",
        floats[index], " at index ", index));
  }
  return floats;
}

absl::StatusOr<absl::Span<const uint8_t>> Safetensors::ReadBytes(
    absl::string_view name, absl::Span<const int64_t> shape) const {
  absl::StatusOr<const Tensor*> tensor = Find(name, shape);
  if (!tensor.ok()) return tensor.status();
  if ((*tensor)->dtype != DType::kU8) {
    return absl::InvalidArgumentError(
        absl::StrCat(path_, ": tensor '", name, "': expected U8, file has ",
                     DTypeName((*tensor)->dtype)));
  }
  return (*tensor)->bytes;
}

absl::Status Safetensors::VerifyChecksums() const {
  std::map<std::string, std::string> checksums;
  for (const auto& [key, value] : metadata_) {
    if (absl::StartsWith(key, kChecksumPrefix)) {
      checksums[key.substr(kChecksumPrefix.size())] = value;
    }
  }
  if (checksums.empty()) {
    return absl::NotFoundError(absl::StrCat(path_, ": has no checksums"));
  }
  for (const auto& [name, checksum] : checksums) {
    if (!Has(name)) {
      return absl::DataLossError(absl::StrCat(
          path_, ": tensor '", name, "' has a checksum but is missing"));
    }
  }
  for (const auto& [name, tensor] : tensors_) {
    const auto expected = checksums.find(name);
    if (expected == checksums.end()) {
      return absl::DataLossError(
          absl::StrCat(path_, ": tensor '", name, "' has no checksum"));
    }
    const std::string found = Sha256Hex(tensor.bytes);
    if (found != expected->second) {
      return absl::DataLossError(
          absl::StrCat(path_, ": tensor '", name, "': expected SHA-256 ",
                       expected->second, ", found ", found));
    }
  }
  return absl::OkStatus();
}

absl::Status WriteSafetensors(const std::string& path,
                              const std::map<std::string, Tensor>& tensors,
                              std::map<std::string, std::string> metadata) {
  std::vector<std::pair<std::string, const Tensor*>> order;
  for (const auto& [name, tensor] : tensors) order.emplace_back(name, &tensor);
  std::stable_sort(order.begin(), order.end(), [](auto& a, auto& b) {
    return DTypeBytes(a.second->dtype) > DTypeBytes(b.second->dtype);
  });

  nlohmann::json header;
  uint64_t offset = 0;
  for (const auto& [name, tensor] : order) {
    const uint64_t end = offset + tensor->bytes.size();
    header[name] = {{"dtype", DTypeName(tensor->dtype)},
                    {"shape", tensor->shape},
                    {"data_offsets", {offset, end}}};
    offset = end;
    metadata[absl::StrCat(kChecksumPrefix, name)] = Sha256Hex(tensor->bytes);
  }
  header[std::string(kMetadataKey)] = metadata;
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');  // so that the data is aligned
  const uint64_t header_bytes = text.size();
  std::string length(kLengthBytes, '\0');
  std::memcpy(length.data(), &header_bytes, kLengthBytes);

  std::vector<absl::Span<const uint8_t>> pieces = {AsBytes(length),
                                                   AsBytes(text)};
  for (const auto& [name, tensor] : order) pieces.push_back(tensor->bytes);
  return WriteFileAtomically(path, pieces);
}

}  // namespace tern

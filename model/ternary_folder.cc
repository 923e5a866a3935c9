#include "model/ternary_folder.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "kernels/ternarize.h"
#include "model/folder_writer.h"
#include "model/inspect_folder.h"
#include "model/tensor_names.h"

namespace tern {
namespace {

constexpr int kCodesPerByte = 4;

int CodeAt(const uint8_t* codes, int64_t p) {
  return codes[p / kCodesPerByte] >> (2 * (p % kCodesPerByte)) & 3;
}

// Index of the first bad code of a row of k, or -1.
int64_t FirstBadCode(const uint8_t* codes, int64_t k) {
  const int64_t row_bytes = TernaryRowBytes(k);
  uint8_t both_bits = 0;  // even bits: of a code 3 anywhere in the row
  for (int64_t b = 0; b < row_bytes; ++b) both_bits |= codes[b] & codes[b] >> 1;
  if ((both_bits & 0x55) != 0) {
    int64_t p = 0;
    while (CodeAt(codes, p) != 3) ++p;
    return p;
  }
  for (int64_t p = k; p < row_bytes * kCodesPerByte; ++p) {
    if (CodeAt(codes, p) != 1) return p;
  }
  return -1;
}

absl::StatusOr<absl::Span<const uint8_t>> ReadCodes(const Safetensors& file,
                                                    const std::string& name,
                                                    int n, int k) {
  const int64_t row_bytes = TernaryRowBytes(k);
  absl::StatusOr<absl::Span<const uint8_t>> codes =
      file.ReadBytes(name, {n, row_bytes});
  if (!codes.ok()) return codes.status();
  for (int64_t row = 0; row < n; ++row) {
    const uint8_t* row_codes = codes->data() + row * row_bytes;
    const int64_t p = FirstBadCode(row_codes, k);
    if (p < 0) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        file.path(), ": tensor '", name, "': expected ",
        p < k ? "a code of 0, 1 or 2" : "code 1 after the row's end", " at [",
        row, ", ", p, "], found ", CodeAt(row_codes, p)));
  }
  return codes;
}

absl::StatusOr<std::vector<float>> ReadScales(const Safetensors& file,
                                              const std::string& name,
                                              int count) {
  const std::string scale_name = ScaleName(name);
  absl::StatusOr<std::vector<float>> scales =
      file.ReadFloats(scale_name, {count});
  if (!scales.ok()) return scales.status();
  for (int i = 0; i < count; ++i) {
    if ((*scales)[i] >= 0) continue;
    return absl::InvalidArgumentError(
        absl::StrCat(file.path(), ": tensor '", scale_name,
                     "': expected a scale of at least 0 at index ", i,
                     ", found ", (*scales)[i]));
  }
  return scales;
}

// w [k] = scale * t
void DequantizeRow(const uint8_t* codes, int k, float scale, float* w) {
  for (int p = 0; p < k; ++p) w[p] = scale * (CodeAt(codes, p) - 1);
}

struct Ternarized {
  std::vector<int8_t> t;      // [n, k]
  std::vector<float> scales;  // [1] or [n]
};

Ternarized Ternarize(const ExpectedTensor& tensor,
                     const std::vector<float>& w) {
  const size_t groups =
      tensor.storage == Storage::kTernaryPerRow ? tensor.shape[0] : 1;
  const size_t group_size = w.size() / groups;
  Ternarized result;
  result.t.resize(w.size());
  for (size_t g = 0; g < groups; ++g) {
    result.scales.push_back(TernarizeTwn(w.data() + g * group_size, group_size,
                                         result.t.data() + g * group_size));
  }
  return result;
}

TernarizedTensor Measure(const std::string& name, const std::vector<float>& w,
                         const Ternarized& ternarized) {
  const size_t group_size = w.size() / ternarized.scales.size();
  TernarizedTensor measured;
  measured.name = name;
  measured.weights = w.size();
  for (size_t i = 0; i < w.size(); ++i) {
    const double scale = ternarized.scales[i / group_size];
    const double error = w[i] - scale * ternarized.t[i];
    measured.squared_norm += static_cast<double>(w[i]) * w[i];
    measured.squared_error += error * error;
    measured.zeros += ternarized.t[i] == 0;
  }
  return measured;
}

}  // namespace

std::string ScaleName(absl::string_view name) {
  return absl::StrCat(name, "_scale");
}

absl::StatusOr<TernaryMatrix> ReadTernaryMatrix(const Safetensors& file,
                                                const std::string& name, int n,
                                                int k) {
  absl::StatusOr<absl::Span<const uint8_t>> codes = ReadCodes(file, name, n, k);
  if (!codes.ok()) return codes.status();
  absl::StatusOr<std::vector<float>> scales = ReadScales(file, name, 1);
  if (!scales.ok()) return scales.status();
  return TernaryMatrix{n, k, codes->data(), scales->front()};
}

absl::StatusOr<TernaryRows> ReadTernaryRows(const Safetensors& file,
                                            const std::string& name, int n,
                                            int k) {
  absl::StatusOr<absl::Span<const uint8_t>> codes = ReadCodes(file, name, n, k);
  if (!codes.ok()) return codes.status();
  absl::StatusOr<std::vector<float>> scales = ReadScales(file, name, n);
  if (!scales.ok()) return scales.status();
  return TernaryRows{n, k, *codes, *std::move(scales)};
}

absl::StatusOr<std::vector<float>> ReadTernaryAsFloats(const Safetensors& file,
                                                       const std::string& name,
                                                       int n, int k) {
  const bool per_row = StorageOf(name) == Storage::kTernaryPerRow;
  absl::StatusOr<absl::Span<const uint8_t>> codes = ReadCodes(file, name, n, k);
  if (!codes.ok()) return codes.status();
  absl::StatusOr<std::vector<float>> scales =
      ReadScales(file, name, per_row ? n : 1);
  if (!scales.ok()) return scales.status();
  std::vector<float> w(static_cast<size_t>(n) * k);
  for (int64_t row = 0; row < n; ++row) {
    DequantizeRow(codes->data() + row * TernaryRowBytes(k), k,
                  (*scales)[per_row ? row : 0], w.data() + row * k);
  }
  return w;
}

std::vector<uint8_t> EncodeTernary(absl::Span<const int8_t> t, int64_t n,
                                   int64_t k) {
  const int64_t row_bytes = TernaryRowBytes(k);
  std::vector<uint8_t> codes(n * row_bytes);
  for (int64_t row = 0; row < n; ++row) {
    for (int64_t p = 0; p < row_bytes * kCodesPerByte; ++p) {
      const int code = (p < k ? t[row * k + p] : 0) + 1;
      codes[row * row_bytes + p / kCodesPerByte] |=
          code << (2 * (p % kCodesPerByte));
    }
  }
  return codes;
}

void DecodeTernary(const uint8_t* codes, int64_t k, int8_t* t) {
  for (int64_t p = 0; p < k; ++p) {
    t[p] = static_cast<int8_t>(CodeAt(codes, p) - 1);
  }
}

absl::Status TernarizeFolder(const std::string& from, const std::string& to,
                             Progress progress,
                             std::vector<TernarizedTensor>* report,
                             FinishFolder finish) {
  absl::StatusOr<ModelFolder> model = OpenFolder(from);
  if (!model.ok()) return model.status();
  if (model->config.ternary) {
    return absl::FailedPreconditionError(
        absl::StrCat(from, ": is ternary already"));
  }

  FolderWriter writer;
  const int total = static_cast<int>(model->tensors.size());
  progress(0, total);
  for (int i = 0; i < total; ++i) {
    const ExpectedTensor& tensor = model->tensors[i];
    absl::StatusOr<std::vector<float>> w = ReadAsFloats(*model, tensor);
    if (!w.ok()) return w.status();
    if (tensor.ternary()) {
      const Ternarized ternarized = Ternarize(tensor, *w);
      writer.AddTernary(tensor.name, tensor.shape[0], tensor.shape[1],
                        ternarized.t, ternarized.scales);
      if (report != nullptr) {
        report->push_back(Measure(tensor.name, *w, ternarized));
      }
    } else {
      absl::Status added = writer.AddFloats(tensor.name, tensor.shape, *w,
                                            FloatTypeOf(tensor.storage));
      if (!added.ok()) return added;
    }
    progress(i + 1, total);
  }
  return writer.Write(to, from, DType::kF32,
                      {{"quant_method", "tern"},
                       {"version", 1},
                       {"bits", 2},
                       {"weights", "twn"},
                       {"activation_bits", 8}},
                      finish);
}

}  // namespace tern

#include "model/folder_conversion.h"

#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "kernels/ternarize.h"
#include "model/config.h"
#include "model/folder_writer.h"
#include "model/inspect_folder.h"
#include "model/json_file.h"
#include "model/tensor_names.h"
#include "model/ternary_folder.h"

namespace tern {
namespace {

absl::StatusOr<nlohmann::json> ReadConfigJson(const std::string& folder) {
  return ReadJsonObjectFile(absl::StrCat(folder, "/config.json"));
}

const char* TorchName(DType dtype) {
  return dtype == DType::kF16    ? "float16"
         : dtype == DType::kBF16 ? "bfloat16"
                                 : "float32";
}

// transformers 5 says "dtype", older ones "torch_dtype".
void SetDType(DType dtype, nlohmann::json& config) {
  const bool is_new = config.contains("dtype");
  config.erase("torch_dtype");
  config[is_new ? "dtype" : "torch_dtype"] = TorchName(dtype);
}

// Sums of squares, for relative errors.
struct ErrorSums {
  double error = 0;
  double weight = 0;

  double relative() const {
    return weight == 0 ? 0 : std::sqrt(error / weight);
  }
};

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

// Describes what became of w; adds to `sums`.
TernarizedTensor Measure(const std::string& name, const std::vector<float>& w,
                         const Ternarized& ternarized, ErrorSums& sums) {
  const size_t group_size = w.size() / ternarized.scales.size();
  ErrorSums own;
  int64_t zeros = 0;
  for (size_t i = 0; i < w.size(); ++i) {
    const double scale = ternarized.scales[i / group_size];
    const double error = w[i] - scale * ternarized.t[i];
    own.error += error * error;
    own.weight += static_cast<double>(w[i]) * w[i];
    zeros += ternarized.t[i] == 0;
  }
  sums.error += own.error;
  sums.weight += own.weight;
  return {name, static_cast<int64_t>(w.size()),
          static_cast<double>(zeros) / w.size(), own.relative()};
}

}  // namespace

absl::StatusOr<TernarizeReport> TernarizeFolder(const std::string& from,
                                                const std::string& to,
                                                Progress progress) {
  absl::StatusOr<ModelFolder> model = OpenFolder(from);
  if (!model.ok()) return model.status();
  if (model->config.ternary) {
    return absl::FailedPreconditionError(
        absl::StrCat(from, ": is ternary already"));
  }
  absl::StatusOr<nlohmann::json> config = ReadConfigJson(from);
  if (!config.ok()) return config.status();

  FolderWriter writer;
  TernarizeReport report;
  ErrorSums sums;
  for (size_t i = 0; i < model->tensors.size(); ++i) {
    progress(i, model->tensors.size());
    const ExpectedTensor& tensor = model->tensors[i];
    absl::StatusOr<std::vector<float>> w = ReadAsFloats(*model, tensor);
    if (!w.ok()) return w.status();
    if (!tensor.ternary()) {
      absl::Status added =
          writer.AddFloats(tensor.name, tensor.shape, *w, DType::kF32);
      if (!added.ok()) return added;
      continue;
    }
    const Ternarized ternarized = Ternarize(tensor, *w);
    writer.AddTernary(tensor.name, tensor.shape[0], tensor.shape[1],
                      ternarized.t, ternarized.scales);
    report.tensors.push_back(Measure(tensor.name, *w, ternarized, sums));
  }
  progress(model->tensors.size(), model->tensors.size());
  report.relative_error = sums.relative();

  SetDType(DType::kF32, *config);
  (*config)["quantization_config"] = {{"quant_method", "tern"},
                                      {"version", 1},
                                      {"bits", 2},
                                      {"weights", "twn"},
                                      {"activation_bits", 8}};
  absl::Status written = writer.Write(to, from, *config);
  if (!written.ok()) return written;
  return report;
}

absl::Status ConvertFolder(const std::string& from, const std::string& to,
                           DType dtype, Progress progress) {
  absl::StatusOr<ModelFolder> model = OpenFolder(from);
  if (!model.ok()) return model.status();
  absl::StatusOr<nlohmann::json> config = ReadConfigJson(from);
  if (!config.ok()) return config.status();

  FolderWriter writer;
  for (size_t i = 0; i < model->tensors.size(); ++i) {
    progress(i, model->tensors.size());
    const ExpectedTensor& tensor = model->tensors[i];
    absl::StatusOr<std::vector<float>> w = ReadAsFloats(*model, tensor);
    if (!w.ok()) return w.status();
    absl::Status added = writer.AddFloats(tensor.name, tensor.shape, *w, dtype);
    if (!added.ok()) return added;
  }
  progress(model->tensors.size(), model->tensors.size());
  SetDType(dtype, *config);
  config->erase("quantization_config");
  return writer.Write(to, from, *config);
}

}  // namespace tern

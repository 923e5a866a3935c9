// tern-model: looks into model folders, checks them, and makes new ones.

#include <unistd.h>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "flags/program_flags.h"
#include "flags/version.h"
#include "model/folder_conversion.h"
#include "model/inspect_folder.h"
#include "model/self_check.h"
#include "model/ternary_folder.h"
#include "nlohmann/json.hpp"

ABSL_FLAG(bool, json, false, "inspect: print one JSON object");
ABSL_FLAG(std::string, dtype, "f32", "convert: f32, f16 or bf16");
ABSL_FLAG(bool, write, false, "self-check: write the file first");

namespace tern {
namespace {

constexpr int kExitBadFile = 1;
constexpr int kExitUsage = 2;

constexpr char kHelp[] =
    R"(tern-model: looks into model folders, checks them, and makes new ones.

A model folder is a Hugging Face folder: config.json, model.safetensors (BERT,
DistilBERT or MobileBERT for sequence classification, question answering or
embeddings), vocab.txt.

  tern-model inspect FOLDER [--json]
      Lists the tensors (name, dtype, shape, bytes; share of zeros of ternary
      ones) and the size against 32-bit floats.
  tern-model verify FOLDER
      Checks the checksums, every tensor against config.json, every number, and
      the vocabulary.
  tern-model ternarize FROM TO
      Makes the weights of the Linear layers and the word embeddings ternary,
      without training (TWN), and says what that cost.
  tern-model self-check FOLDER [--write]
      Whether this machine computes what tern_self_check.json expects, with each
      kernel variant that it can run. --write: writes that file, which the
      server checks at load; `ternarize` does, too.
  tern-model convert FROM TO [--dtype=f32|f16|bf16]
      Writes all tensors as floats; ternary ones as scale * {-1, 0, 1}.

TO is made; it must not exist yet. Sizes are in bytes.
Exit codes: 0 done; 1 a file is bad, missing or cannot be written; 2 wrong
usage.
)";

int Fail(const absl::Status& status) {
  absl::FPrintF(stderr, "tern-model: %s\n", std::string(status.message()));
  return kExitBadFile;
}

// "bert.pooler.dense.weight" of W [n, k]: the share of zeros among its codes.
double ZeroShare(const Tensor& codes, const ExpectedTensor& tensor) {
  const int64_t n = tensor.shape[0], k = tensor.shape[1];
  std::vector<int8_t> t(k);
  int64_t zeros = 0;
  for (int64_t row = 0; row < n; ++row) {
    DecodeTernary(codes.bytes.data() + row * TernaryRowBytes(k), k, t.data());
    for (int8_t weight : t) zeros += weight == 0;
  }
  return static_cast<double>(zeros) / (n * k);
}

// The zero shares of the ternary tensors, by name.
std::map<std::string, double> ZeroShares(const ModelFolder& model) {
  std::map<std::string, double> shares;
  if (!model.config.ternary) return shares;
  for (const ExpectedTensor& tensor : model.tensors) {
    const auto found = model.file->tensors().find(tensor.name);
    if (!tensor.ternary() || found == model.file->tensors().end()) continue;
    const Tensor codes = found->second;
    const std::vector<int64_t> expected = {tensor.shape[0],
                                           TernaryRowBytes(tensor.shape[1])};
    if (codes.dtype != DType::kU8 || codes.shape != expected) continue;
    shares[tensor.name] = ZeroShare(codes, tensor);
  }
  return shares;
}

void PrintJson(const ModelFolder& model, const ModelBytes& bytes) {
  const std::map<std::string, double> zeros = ZeroShares(model);
  nlohmann::ordered_json out = {
      {"folder", model.path},
      {"ternary", model.config.ternary},
      {"file_bytes", model.file->file_bytes()},
      {"parameters", bytes.all.fp32 / 4},
      {"tensor_bytes", bytes.all.stored},
      {"fp32_bytes", bytes.all.fp32},
      {"ratio", bytes.all.ratio()},
      {"encoder_bytes", bytes.encoder.stored},
      {"encoder_fp32_bytes", bytes.encoder.fp32},
      {"encoder_ratio", bytes.encoder.ratio()},
      {"tensors", nlohmann::ordered_json::array()},
  };
  for (const auto& [name, tensor] : model.file->tensors()) {
    nlohmann::ordered_json row = {{"name", name},
                                  {"dtype", DTypeName(tensor.dtype)},
                                  {"shape", tensor.shape},
                                  {"bytes", tensor.bytes.size()}};
    if (const auto zero = zeros.find(name); zero != zeros.end()) {
      row["zero_share"] = zero->second;
    }
    out["tensors"].push_back(row);
  }
  absl::PrintF("%s\n", out.dump(-1, ' ', false,
                                nlohmann::json::error_handler_t::replace));
}

void PrintSizes(const ModelBytes& bytes, int64_t file_bytes) {
  absl::PrintF("%d weights; model.safetensors %d bytes\n", bytes.all.fp32 / 4,
               file_bytes);
  const auto line = [](const char* what, const TensorBytes& own) {
    absl::PrintF("%-13s %11d bytes, %11d as fp32: %5.2f times smaller\n", what,
                 own.stored, own.fp32, own.ratio());
  };
  line("all tensors", bytes.all);
  line("encoder only", bytes.encoder);
}

int Inspect(const std::string& folder) {
  absl::StatusOr<ModelFolder> model = OpenFolder(folder);
  if (!model.ok()) return Fail(model.status());
  absl::StatusOr<ModelBytes> bytes = CountBytes(*model);
  if (!bytes.ok()) return Fail(bytes.status());
  if (absl::GetFlag(FLAGS_json)) {
    PrintJson(*model, *bytes);
    return 0;
  }
  const std::map<std::string, double> zeros = ZeroShares(*model);
  absl::PrintF("%-58s %-5s %-14s %11s %6s\n", "tensor", "dtype", "shape",
               "bytes", "zeros");
  for (const auto& [name, tensor] : model->file->tensors()) {
    const auto zero = zeros.find(name);
    absl::PrintF("%-58s %-5s %-14s %11d %6s\n", name, DTypeName(tensor.dtype),
                 tensor.ShapeString(), tensor.bytes.size(),
                 zero == zeros.end()
                     ? ""
                     : absl::StrFormat("%.1f%%", 100 * zero->second));
  }
  PrintSizes(*bytes, model->file->file_bytes());
  return 0;
}

int Verify(const std::string& folder) {
  absl::StatusOr<Verified> verified = VerifyFolder(folder);
  if (!verified.ok()) return Fail(verified.status());
  absl::PrintF("%s: %d tensors are as config.json says; %s\n", folder,
               verified->tensors,
               verified->has_checksums ? "all checksums are right"
                                       : "it has no checksums");
  return 0;
}

int CheckSelf(const std::string& folder) {
  if (absl::GetFlag(FLAGS_write)) {
    absl::Status written = WriteSelfCheck(folder);
    if (!written.ok()) return Fail(written);
  }
  int failed = 0;
  for (const Variant* variant : AllVariants()) {
    if (!variant->supported()) {
      absl::PrintF("%s: not on this machine\n", variant->name);
      continue;
    }
    const absl::StatusOr<CheckedEngine> engine =
        LoadCheckedEngine(folder, EngineOptions{}, {variant});
    if (engine.ok() && !engine->checked) {
      return Fail(absl::NotFoundError(
          absl::StrCat(folder, ": expected a ternary folder with ",
                       kSelfCheckFile, "; --write makes it")));
    }
    if (engine.ok()) {
      absl::PrintF("%s: passed\n", variant->name);
    } else {
      failed = Fail(engine.status());
    }
  }
  return failed;
}

// A bar on stderr, where someone watches.
void ShowProgress(int done, int total) {
  constexpr int kWidth = 40;
  if (!isatty(STDERR_FILENO)) return;
  const int filled = kWidth * done / total;
  absl::FPrintF(stderr, "\r[%s%s] %d/%d%s", std::string(filled, '#'),
                std::string(kWidth - filled, ' '), done, total,
                done == total ? "\n" : "");
}

// "43.2%" of two sums of squares.
std::string RelativeError(double squared_error, double squared_norm) {
  return absl::StrFormat(
      "%.1f%%",
      squared_norm == 0 ? 0 : 100 * std::sqrt(squared_error / squared_norm));
}

void PrintReport(const std::vector<TernarizedTensor>& report) {
  double squared_error = 0, squared_norm = 0;
  absl::PrintF("%-58s %10s %6s %6s\n", "tensor", "weights", "zeros", "error");
  for (const TernarizedTensor& tensor : report) {
    absl::PrintF("%-58s %10d %5.1f%% %6s\n", tensor.name, tensor.weights,
                 100.0 * tensor.zeros / tensor.weights,
                 RelativeError(tensor.squared_error, tensor.squared_norm));
    squared_error += tensor.squared_error;
    squared_norm += tensor.squared_norm;
  }
  absl::PrintF("relative error of all ternary weights: %s\n",
               RelativeError(squared_error, squared_norm));
}

int Ternarize(const std::string& from, const std::string& to) {
  std::vector<TernarizedTensor> report;
  absl::Status ternarized =
      TernarizeFolder(from, to, ShowProgress, &report, WriteSelfCheck);
  if (!ternarized.ok()) return Fail(ternarized);
  absl::StatusOr<ModelFolder> model = OpenFolder(to);
  if (!model.ok()) return Fail(model.status());
  absl::StatusOr<ModelBytes> bytes = CountBytes(*model);
  if (!bytes.ok()) return Fail(bytes.status());
  PrintReport(report);
  PrintSizes(*bytes, model->file->file_bytes());
  return 0;
}

int Convert(const std::string& from, const std::string& to, DType dtype) {
  absl::Status converted = ConvertFolder(from, to, dtype, ShowProgress);
  if (!converted.ok()) return Fail(converted);
  absl::PrintF("%s: written as %s\n", to, DTypeName(dtype));
  return 0;
}

int FailUsage(absl::string_view problem) {
  absl::FPrintF(stderr, "tern-model: %s\n", problem);
  return kExitUsage;
}

int Run(int argc, char** argv) {
  const std::vector<absl::string_view> arguments(argv + 1, argv + argc);
  const absl::StatusOr<ParsedFlags> parsed =
      ProgramFlags("dtype").Parse(arguments);
  if (!parsed.ok()) return FailUsage(parsed.status().message());
  if (parsed->help) {
    absl::PrintF("%s", kHelp);
    return 0;
  }
  if (parsed->version) {
    absl::PrintF("tern-model %s\n", Version());
    return 0;
  }
  const std::vector<std::string>& words = parsed->words;
  if (words.empty()) return FailUsage("expected a command; see --help");
  const std::string& command = words[0];
  const std::vector<std::string> folders(words.begin() + 1, words.end());

  for (const auto& [flag, value] : parsed->flags) {
    for (const auto& [name, user] :
         {std::pair{"json", "inspect"}, std::pair{"dtype", "convert"},
          std::pair{"write", "self-check"}}) {
      if (flag != name || command == user) continue;
      return FailUsage(absl::StrCat("--", flag, ": expected only with ", user,
                                    ", found with ", command));
    }
  }
  size_t expected_folders = 2;
  if (command == "inspect" || command == "verify" || command == "self-check") {
    expected_folders = 1;
  } else if (command != "ternarize" && command != "convert") {
    return FailUsage(
        absl::StrCat("unknown command '", command, "'; see --help"));
  }
  if (folders.size() != expected_folders) {
    return FailUsage(absl::StrCat(command, ": expected ",
                                  expected_folders == 1 ? "FOLDER" : "FROM TO",
                                  ", found ", folders.size(), " names"));
  }

  if (command == "inspect") return Inspect(folders[0]);
  if (command == "verify") return Verify(folders[0]);
  if (command == "self-check") return CheckSelf(folders[0]);
  if (command == "ternarize") return Ternarize(folders[0], folders[1]);
  const std::string dtype = absl::GetFlag(FLAGS_dtype);
  if (dtype == "f32") return Convert(folders[0], folders[1], DType::kF32);
  if (dtype == "f16") return Convert(folders[0], folders[1], DType::kF16);
  if (dtype == "bf16") return Convert(folders[0], folders[1], DType::kBF16);
  return FailUsage(
      absl::StrCat("--dtype: expected f32, f16 or bf16, found '", dtype, "'"));
}

}  // namespace
}  // namespace tern

int main(int argc, char** argv) { return tern::Run(argc, argv); }

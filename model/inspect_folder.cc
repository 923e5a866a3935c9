#include "model/inspect_folder.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "files/regular_file.h"
#include "model/ternary_folder.h"

namespace tern {
namespace {

constexpr int64_t kMaxVocabularyBytes = int64_t{64} << 20;

int64_t CountWeights(const ExpectedTensor& tensor) {
  int64_t weights = 1;
  for (int64_t extent : tensor.shape) weights *= extent;
  return weights;
}

// The tokenizer must not make ids that the model has no embedding for.
absl::Status CheckVocabulary(const ModelFolder& model) {
  const std::string path = absl::StrCat(model.path, "/vocab.txt");
  absl::StatusOr<std::string> text = ReadSmallFile(path, kMaxVocabularyBytes);
  if (!text.ok()) return text.status();
  int64_t lines = std::count(text->begin(), text->end(), '\n');
  if (!text->empty() && text->back() != '\n') ++lines;
  if (lines >= 1 && lines <= model.config.vocabulary_size) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat(path, ": expected 1 to ", model.config.vocabulary_size,
                   " tokens (vocab_size of config.json), found ", lines));
}

}  // namespace

absl::StatusOr<ModelFolder> OpenFolder(const std::string& path) {
  ModelFolder model;
  model.path = path;
  absl::StatusOr<BertConfig> config = LoadConfig(path);
  if (!config.ok()) return config.status();
  model.config = *std::move(config);
  absl::StatusOr<std::unique_ptr<Safetensors>> file =
      Safetensors::Open(absl::StrCat(path, "/model.safetensors"));
  if (!file.ok()) return file.status();
  model.file = *std::move(file);
  model.tensors = ExpectedTensors(model.config, *model.file);
  return model;
}

absl::StatusOr<std::vector<float>> ReadAsFloats(const ModelFolder& model,
                                                const ExpectedTensor& tensor) {
  if (model.config.ternary && tensor.ternary()) {
    return ReadTernaryAsFloats(*model.file, tensor.name, tensor.shape[0],
                               tensor.shape[1]);
  }
  absl::StatusOr<std::string> name = FindTensor(*model.file, tensor.name);
  if (!name.ok()) return name.status();
  return model.file->ReadFloats(*name, tensor.shape);
}

absl::StatusOr<ModelBytes> CountBytes(const ModelFolder& model) {
  ModelBytes bytes;
  for (const ExpectedTensor& tensor : model.tensors) {
    absl::StatusOr<std::string> name = FindTensor(*model.file, tensor.name);
    if (!name.ok()) return name.status();
    TensorBytes own;
    own.fp32 = 4 * CountWeights(tensor);
    own.stored = model.file->tensors().at(*name).bytes.size();
    const auto scales = model.file->tensors().find(ScaleName(*name));
    if (model.config.ternary && scales != model.file->tensors().end()) {
      own.stored += scales->second.bytes.size();
    }
    bytes.all.fp32 += own.fp32;
    bytes.all.stored += own.stored;
    if (!InEncoder(tensor.name)) continue;
    bytes.encoder.fp32 += own.fp32;
    bytes.encoder.stored += own.stored;
  }
  return bytes;
}

absl::StatusOr<Verified> VerifyFolder(const std::string& path) {
  absl::StatusOr<ModelFolder> model = OpenFolder(path);
  if (!model.ok()) return model.status();
  Verified verified;
  verified.has_checksums = true;
  const absl::Status checksums = model->file->VerifyChecksums();
  if (absl::IsNotFound(checksums) && !model->config.ternary) {
    verified.has_checksums = false;
  } else if (!checksums.ok()) {
    return checksums;
  }
  for (const ExpectedTensor& tensor : model->tensors) {
    absl::StatusOr<std::vector<float>> values = ReadAsFloats(*model, tensor);
    if (!values.ok()) return values.status();
    ++verified.tensors;
  }
  absl::Status vocabulary = CheckVocabulary(*model);
  if (!vocabulary.ok()) return vocabulary;
  return verified;
}

}  // namespace tern

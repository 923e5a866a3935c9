#include "train/checkpoint.h"

#include <cstring>
#include <memory>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "model/safetensors.h"

namespace tern {
namespace {

constexpr char kParameter[] = "parameter:";
constexpr char kFirstMoment[] = "first_moment:";
constexpr char kSecondMoment[] = "second_moment:";
constexpr char kAverage[] = "average:";

void AddAll(const std::string& prefix, const TensorMap& tensors,
            std::map<std::string, Tensor>& views) {
  for (const auto& [name, tensor] : tensors) {
    views[prefix + name] = {
        DType::kF32,
        tensor.sizes().vec(),
        {static_cast<const uint8_t*>(tensor.data_ptr()), tensor.nbytes()}};
  }
}

absl::Status ReadAll(const std::string& prefix, const Safetensors& file,
                     const TensorMap& tensors) {
  for (const auto& [name, tensor] : tensors) {
    const absl::StatusOr<std::vector<float>> floats =
        file.ReadFloats(prefix + name, tensor.sizes().vec());
    if (!floats.ok()) return floats.status();
    std::memcpy(tensor.data_ptr(), floats->data(), tensor.nbytes());
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> Metadata(const Safetensors& file,
                                     const std::string& key) {
  const auto found = file.metadata().find(key);
  if (found != file.metadata().end()) return found->second;
  return absl::InvalidArgumentError(absl::StrCat(
      file.path(), ": is no checkpoint of tern-train: no '", key, "'"));
}

template <typename T, typename Parse>
absl::Status ReadNumber(const Safetensors& file, const std::string& key,
                        Parse parse, T& number) {
  const absl::StatusOr<std::string> text = Metadata(file, key);
  if (!text.ok()) return text.status();
  if (parse(*text, &number)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      file.path(), ": '", key, "': expected a number, found '", *text, "'"));
}

}  // namespace

absl::Status SaveCheckpoint(const std::string& path,
                            const RunProgress& progress,
                            const std::string& options,
                            const TensorMap& parameters,
                            const AdamWState& optimizer,
                            const TensorMap& averages) {
  std::map<std::string, Tensor> views;
  AddAll(kParameter, parameters, views);
  AddAll(kFirstMoment, optimizer.first_moments, views);
  AddAll(kSecondMoment, optimizer.second_moments, views);
  AddAll(kAverage, averages, views);
  return WriteSafetensors(
      path, views,
      {{"options", options},
       {"step", absl::StrCat(progress.step)},
       {"evaluated_step", absl::StrCat(progress.evaluated_step)},
       {"best_step", absl::StrCat(progress.best_step)},
       // Digits enough to read back the same double.
       {"best_score", absl::StrFormat("%.17g", progress.best_score)}});
}

absl::Status LoadCheckpoint(const std::string& path, const std::string& options,
                            RunProgress& progress, const TensorMap& parameters,
                            AdamWState& optimizer, const TensorMap& averages) {
  const absl::StatusOr<std::unique_ptr<Safetensors>> file =
      Safetensors::Open(path);
  if (absl::IsNotFound(file.status())) {
    return absl::NotFoundError(absl::StrCat(
        path,
        ": expected a checkpoint to go on from, found none; without "
        "--resume a run begins at its first step"));
  }
  if (!file.ok()) return file.status();
  absl::Status status = (*file)->VerifyChecksums();
  if (!status.ok()) return status;
  const absl::StatusOr<std::string> stored = Metadata(**file, "options");
  if (!stored.ok()) return stored.status();
  if (*stored != options) {
    return absl::FailedPreconditionError(absl::StrCat(
        path, ": was made with ", *stored, "; this run has ", options));
  }
  const auto integer = [](const std::string& text, int64_t* value) {
    return absl::SimpleAtoi(text, value);
  };
  const auto real = [](const std::string& text, double* value) {
    return absl::SimpleAtod(text, value);
  };
  status.Update(ReadNumber(**file, "step", integer, progress.step));
  status.Update(
      ReadNumber(**file, "evaluated_step", integer, progress.evaluated_step));
  status.Update(ReadNumber(**file, "best_step", integer, progress.best_step));
  status.Update(ReadNumber(**file, "best_score", real, progress.best_score));
  status.Update(ReadAll(kParameter, **file, parameters));
  status.Update(ReadAll(kFirstMoment, **file, optimizer.first_moments));
  status.Update(ReadAll(kSecondMoment, **file, optimizer.second_moments));
  status.Update(ReadAll(kAverage, **file, averages));
  optimizer.steps = progress.step;
  return status;
}

absl::Status LoadCheckpointWeights(const std::string& path,
                                   const TensorMap& parameters) {
  const absl::StatusOr<std::unique_ptr<Safetensors>> file =
      Safetensors::Open(path);
  if (!file.ok()) return file.status();
  absl::Status status = (*file)->VerifyChecksums();
  status.Update(Metadata(**file, "options").status());
  status.Update(ReadAll(kParameter, **file, parameters));
  return status;
}

}  // namespace tern

#include "train/run_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "files/regular_file.h"
#include "model/folder_writer.h"
#include "model/json_file.h"
#include "model/safetensors.h"
#include "model/self_check.h"
#include "model/tensor_names.h"
#include "nlohmann/json.hpp"

namespace tern {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr int64_t kMaxTokenizerFileBytes = int64_t{1} << 26;

absl::Status WriteText(const std::string& path, const std::string& text) {
  return WriteFileAtomically(
      path, {{reinterpret_cast<const uint8_t*>(text.data()), text.size()}});
}

json TaskConfig(json config, const TaskSpec& task) {
  for (const char* key : {"_name_or_path", "num_labels", "_num_labels",
                          "id2label", "label2id", "problem_type"}) {
    config.erase(key);
  }
  config["finetuning_task"] = task.name;
  if (task.question_answering) {
    config["architectures"] = json::array({"BertForQuestionAnswering"});
    return config;
  }
  const std::vector<std::string> names =
      task.regression() ? std::vector<std::string>{"score"} : task.label_names;
  json id2label = json::object(), label2id = json::object();
  for (size_t i = 0; i < names.size(); ++i) {
    id2label[absl::StrCat(i)] = names[i];
    label2id[names[i]] = i;
  }
  config["architectures"] = json::array({"BertForSequenceClassification"});
  config["problem_type"] =
      task.regression() ? "regression" : "single_label_classification";
  config["id2label"] = id2label;
  config["label2id"] = label2id;
  return config;
}

absl::Status ErrnoStatus(const std::string& what) {
  return absl::ErrnoToStatus(errno, what);
}

// A folder, if there is one.
absl::Status Remove(const std::string& folder) {
  std::error_code error;
  fs::remove_all(folder, error);
  if (!error) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat("remove ", folder, ": ", error.message()));
}

// Puts the folder `made` in the place of `to`, which may exist.
absl::Status PutInPlace(const std::string& made, const std::string& to) {
  if (!fs::exists(to)) {
    if (std::rename(made.c_str(), to.c_str()) == 0) return absl::OkStatus();
    return ErrnoStatus(absl::StrCat("rename ", made, " to ", to));
  }
  // In one step, so that there is a whole folder `to` at any time.
  if (renameat2(AT_FDCWD, made.c_str(), AT_FDCWD, to.c_str(),
                RENAME_EXCHANGE) == 0) {
    return Remove(made);
  }
  // NFS and others cannot: then there is none for a moment.
  if (errno != EINVAL && errno != ENOSYS) {
    return ErrnoStatus(absl::StrCat("exchange ", made, " and ", to));
  }
  const std::string old = to + ".old";
  absl::Status status = Remove(old);
  if (!status.ok()) return status;
  if (std::rename(to.c_str(), old.c_str()) != 0 ||
      std::rename(made.c_str(), to.c_str()) != 0) {
    return ErrnoStatus(absl::StrCat("rename ", made, " to ", to));
  }
  return Remove(old);
}

// `quantization` is null for a folder of floats.
absl::Status Replace(const FolderWriter& writer, const std::string& base,
                     const json& quantization, const std::string& to) {
  const std::string made = to + ".new";
  absl::Status status = Remove(made);  // of a run that was killed here
  if (!status.ok()) return status;
  status = writer.Write(made, base, DType::kF32, quantization);
  if (status.ok() && !quantization.is_null()) status = WriteSelfCheck(made);
  if (!status.ok()) return status;
  return PutInPlace(made, to);
}

// Temporary files and folders, which are named for the process that made them.
absl::Status RemoveLeftovers(const std::string& folder) {
  std::error_code error;
  for (const fs::directory_entry& entry :
       fs::directory_iterator(folder, error)) {
    if (entry.path().extension() != ".tmp") continue;
    absl::Status status = Remove(entry.path());
    if (!status.ok()) return status;
  }
  if (!error) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat("list ", folder, ": ", error.message()));
}

absl::Status AddFloats(const std::string& name, const torch::Tensor& tensor,
                       DType dtype, FolderWriter& writer) {
  return writer.AddFloats(
      name, tensor.sizes().vec(),
      {tensor.data_ptr<float>(), static_cast<size_t>(tensor.numel())}, dtype);
}

}  // namespace

RunLock::~RunLock() {
  if (fd_ >= 0) close(fd_);
}

absl::StatusOr<RunLock> OpenRun(const RunFolder& run, bool resume) {
  std::error_code error;
  fs::create_directories(run.path, error);
  if (error) {
    return absl::UnavailableError(
        absl::StrCat("create ", run.path, ": ", error.message()));
  }
  const int fd = open(run.path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return ErrnoStatus(absl::StrCat("open ", run.path));
  RunLock lock(fd);
  // Some file systems cannot lock a folder; then nobody is kept out.
  if (flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    return absl::FailedPreconditionError(
        absl::StrCat(run.path, ": another process trains in this folder"));
  }
  if (!resume && fs::exists(run.checkpoint(), error)) {
    return absl::FailedPreconditionError(absl::StrCat(
        run.checkpoint(),
        ": there is a run already; --resume goes on with it, "
        "another --out leaves it, and without this file it is replaced"));
  }
  absl::Status status = RemoveLeftovers(run.path);
  if (!status.ok()) return status;
  return lock;
}

absl::Status MakeBase(const std::string& pretrained, const TaskSpec& task,
                      const std::string& to) {
  const absl::StatusOr<json> config =
      ReadJsonObjectFile(absl::StrCat(pretrained, "/config.json"));
  if (!config.ok()) return config.status();
  const std::string type = config->value("model_type", "bert");
  if (type != "bert") {
    return absl::UnimplementedError(absl::StrCat(
        pretrained, "/config.json: 'model_type': expected bert, found ", type,
        ", which is served, but not trained"));
  }
  std::error_code error;
  fs::create_directories(to, error);
  if (error) {
    return absl::UnavailableError(
        absl::StrCat("create ", to, ": ", error.message()));
  }
  for (const char* file : {"vocab.txt", "tokenizer_config.json"}) {
    const std::string from = absl::StrCat(pretrained, "/", file);
    const absl::StatusOr<std::string> text =
        ReadSmallFile(from, kMaxTokenizerFileBytes);
    if (!text.ok()) {
      const bool optional = std::strcmp(file, "vocab.txt") != 0;
      if (optional && absl::IsNotFound(text.status())) continue;
      return text.status();
    }
    absl::Status status = WriteText(absl::StrCat(to, "/", file), *text);
    if (!status.ok()) return status;
  }
  return WriteText(absl::StrCat(to, "/config.json"),
                   TaskConfig(*config, task).dump(2) + "\n");
}

absl::Status WriteFloatFolder(const BertModule& module, const std::string& base,
                              const std::string& to) {
  FolderWriter writer;
  for (const auto& [name, parameter] : module.parameters()) {
    absl::Status status = AddFloats(name, parameter, DType::kF32, writer);
    if (!status.ok()) return status;
  }
  return Replace(writer, base, nullptr, to);
}

absl::Status WriteTernaryFolder(const BertModule& module,
                                const std::string& base,
                                const std::string& to) {
  FolderWriter writer;
  for (const auto& [name, parameter] : module.parameters()) {
    const Storage storage = StorageOf(name);
    if (!IsTernary(storage)) {
      absl::Status status =
          AddFloats(name, parameter, FloatTypeOf(storage), writer);
      if (!status.ok()) return status;
      continue;
    }
    const TernaryWeights weights = module.TernaryWeightsOf(name);
    writer.AddTernary(
        name, parameter.size(0), parameter.size(1),
        {weights.t.data_ptr<int8_t>(), static_cast<size_t>(weights.t.numel())},
        {weights.scales.data_ptr<float>(),
         static_cast<size_t>(weights.scales.numel())});
  }
  return Replace(
      writer, base,
      {{"quant_method", "tern"},
       {"version", 1},
       {"bits", 2},
       {"weights", std::string(Name(module.options().quantization->weights))},
       {"activation_bits", 8}},
      to);
}

}  // namespace tern

#include "model/sentence_transformer.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "model/json_file.h"

namespace tern {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr char kModules[] = "modules.json";
constexpr char kPrompts[] = "config_sentence_transformers.json";
// What the Transformer step may call its file; the first is today's name.
constexpr const char* kTransformerFiles[] = {"sentence_bert_config.json",
                                             "sentence_distilbert_config.json"};

absl::Status Bad(absl::string_view path, absl::string_view expected,
                 const json& found) {
  return absl::InvalidArgumentError(
      absl::StrCat(path, ": expected ", expected, ", found ",
                   found.dump(-1, ' ', false, json::error_handler_t::replace)
                       .substr(0, 200)));
}

bool Exists(const std::string& folder, const std::string& file) {
  std::error_code error;
  return fs::exists(fs::path(folder) / file, error);
}

// The class of a step: "Pooling" of "sentence_transformers.models.Pooling".
std::string ClassOf(const json& module) {
  if (!module.is_object() || !module.contains("type")) return "";
  const json& type = module["type"];
  if (!type.is_string()) return "";
  const std::string name = type.get<std::string>();
  return name.substr(name.rfind('.') + 1);
}

// The subfolder of a step: empty or one plain name.
absl::StatusOr<std::string> FolderOf(const std::string& path,
                                     const json& module) {
  if (!module.contains("path")) return std::string();
  const json& folder = module["path"];
  if (!folder.is_string() ||
      absl::StrContains(folder.get<std::string>(), "/") || folder == "..") {
    return Bad(path, "a subfolder as the \"path\" of a step", folder);
  }
  return folder.get<std::string>();
}

// Older versions write a flag for each kind, newer ones one name.
absl::StatusOr<Pooling> ReadPooling(const std::string& path) {
  const absl::StatusOr<json> config = ReadJsonObjectFile(path);
  if (!config.ok()) return config.status();
  std::vector<std::string> kinds;
  for (const auto& [key, value] : config->items()) {
    if (key == "pooling_mode" && value.is_string()) {
      kinds.push_back(value.get<std::string>());
    } else if (absl::StartsWith(key, "pooling_mode_") && value == true) {
      kinds.push_back(key.substr(std::string("pooling_mode_").size()));
    }
  }
  if (kinds.size() == 1) {
    const std::string& kind = kinds.front();
    if (kind == "mean" || kind == "mean_tokens") return Pooling::kMean;
    if (kind == "cls" || kind == "cls_token") return Pooling::kFirstToken;
    if (kind == "max" || kind == "max_tokens") return Pooling::kMax;
  }
  return Bad(path, "one pooling_mode of mean, cls and max", kinds);
}

// Reads modules.json and the Pooling step's config.json.
absl::Status ReadSteps(const std::string& folder,
                       BertConfig::Embedding& embedding) {
  const std::string path = absl::StrCat(folder, "/", kModules);
  const absl::StatusOr<json> modules = ReadJsonArrayFile(path);
  if (!modules.ok()) return modules.status();
  std::vector<std::string> classes;
  for (const json& module : *modules) classes.push_back(ClassOf(module));
  embedding.normalize = classes.size() == 3;
  if (classes.size() == 2) classes.push_back("Normalize");
  if (classes !=
      std::vector<std::string>{"Transformer", "Pooling", "Normalize"}) {
    return Bad(path, "the steps Transformer, Pooling and perhaps Normalize",
               *modules);
  }
  const absl::StatusOr<std::string> transformer = FolderOf(path, (*modules)[0]);
  if (!transformer.ok()) return transformer.status();
  if (!transformer->empty()) {
    return Bad(path, "the Transformer in the folder itself", *transformer);
  }
  const absl::StatusOr<std::string> pooling = FolderOf(path, (*modules)[1]);
  if (!pooling.ok()) return pooling.status();
  const absl::StatusOr<Pooling> kind =
      ReadPooling(absl::StrCat(folder, "/", *pooling, "/config.json"));
  if (!kind.ok()) return kind.status();
  embedding.pooling = *kind;
  return absl::OkStatus();
}

absl::Status ReadMaxTokens(const std::string& path, int max_positions,
                           int& max_tokens) {
  const absl::StatusOr<json> config = ReadJsonObjectFile(path);
  if (!config.ok()) return config.status();
  if (!config->contains("max_seq_length")) return absl::OkStatus();
  const json& length = (*config)["max_seq_length"];
  if (length.is_null()) return absl::OkStatus();
  // Room for [CLS], a token and [SEP].
  if (!length.is_number_unsigned() || length.get<uint64_t>() < 3) {
    return Bad(path, "a max_seq_length of at least 3", length);
  }
  max_tokens = static_cast<int>(
      std::min<uint64_t>(length.get<uint64_t>(), max_positions));
  return absl::OkStatus();
}

// Lower case before a cased tokenizer: it is not told that.
absl::Status RefuseLowerCase(const std::string& folder,
                             const std::string& path) {
  const absl::StatusOr<json> config = ReadJsonObjectFile(path);
  if (!config.ok()) return config.status();
  const json lower = config->value("do_lower_case", json(false));
  const auto tokenizer =
      ReadJsonObjectFile(absl::StrCat(folder, "/tokenizer_config.json"));
  const bool cased =
      tokenizer.ok() && tokenizer->value("do_lower_case", json(true)) == false;
  if (lower != true || !cased) return absl::OkStatus();
  return Bad(path, "do_lower_case as in tokenizer_config.json, false", lower);
}

absl::Status RefuseDefaultPrompt(const std::string& path) {
  const absl::StatusOr<json> config = ReadJsonObjectFile(path);
  if (!config.ok()) return config.status();
  if (!config->contains("default_prompt_name")) return absl::OkStatus();
  const json& name = (*config)["default_prompt_name"];
  if (name.is_null()) return absl::OkStatus();
  return Bad(path,
             "no default_prompt_name, since clients put prompts before their "
             "texts themselves",
             name);
}

}  // namespace

absl::Status ReadSentenceTransformer(const std::string& folder,
                                     BertConfig& config) {
  config.embedding = {};
  config.embedding.max_tokens = config.max_positions;
  if (!Exists(folder, kModules)) return absl::OkStatus();
  absl::Status status = ReadSteps(folder, config.embedding);
  for (const char* file : kTransformerFiles) {
    if (!status.ok() || !Exists(folder, file)) continue;
    const std::string path = absl::StrCat(folder, "/", file);
    status =
        ReadMaxTokens(path, config.max_positions, config.embedding.max_tokens);
    if (status.ok()) status = RefuseLowerCase(folder, path);
  }
  if (status.ok() && Exists(folder, kPrompts)) {
    status = RefuseDefaultPrompt(absl::StrCat(folder, "/", kPrompts));
  }
  return status;
}

std::vector<std::string> SentenceTransformerFiles(const std::string& folder) {
  const absl::StatusOr<json> modules =
      ReadJsonArrayFile(absl::StrCat(folder, "/", kModules));
  if (!modules.ok()) return {};
  std::vector<std::string> files = {kModules, kPrompts};
  files.insert(files.end(), std::begin(kTransformerFiles),
               std::end(kTransformerFiles));
  for (const json& module : *modules) {
    const absl::StatusOr<std::string> step = FolderOf(kModules, module);
    if (step.ok() && !step->empty()) files.push_back(*step + "/config.json");
  }
  const auto missing = [&](const std::string& file) {
    return !Exists(folder, file);
  };
  files.erase(std::remove_if(files.begin(), files.end(), missing), files.end());
  return files;
}

}  // namespace tern

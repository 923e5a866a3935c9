#include "model/self_check.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <utility>

#include "absl/strings/str_cat.h"
#include "files/regular_file.h"
#include "model/json_file.h"
#include "model/sha256.h"

namespace tern {
namespace {

constexpr int kFormatVersion = 1;
constexpr int64_t kMaxVocabularyBytes = 64 << 20;
constexpr size_t kMaxInputs = 16;
// A lone token; few rows; as many as make AVX2 multiply by table, and AMX take
// attention, too.
constexpr int kInputTokens[] = {1, 12, 64, 130};

static_assert(std::endian::native == std::endian::little);

std::string PathIn(const std::string& folder) {
  return absl::StrCat(folder, "/", kSelfCheckFile);
}

absl::Status Bad(const std::string& folder, absl::string_view where,
                 absl::string_view expected) {
  return absl::InvalidArgumentError(
      absl::StrCat(PathIn(folder), ": ", where, ": expected ", expected));
}

absl::StatusOr<std::string> VocabularyDigest(const std::string& folder) {
  const absl::StatusOr<std::string> text =
      ReadSmallFile(absl::StrCat(folder, "/vocab.txt"), kMaxVocabularyBytes);
  if (!text.ok()) return text.status();
  return Sha256Hex(
      {reinterpret_cast<const uint8_t*>(text->data()), text->size()});
}

// Whole numbers in [0, limit); none where it is anything else.
std::optional<std::vector<int32_t>> ReadIds(const nlohmann::json& json,
                                            int limit) {
  if (!json.is_array()) return std::nullopt;
  std::vector<int32_t> ids;
  for (const nlohmann::json& id : json) {
    if (!id.is_number_unsigned()) return std::nullopt;
    const uint64_t value = id.get<uint64_t>();
    if (value >= static_cast<uint64_t>(limit)) return std::nullopt;
    ids.push_back(static_cast<int32_t>(value));
  }
  return ids;
}

absl::StatusOr<SelfCheck::Input> ReadInput(const std::string& folder,
                                           const std::string& where,
                                           const nlohmann::json& json,
                                           const BertConfig& config) {
  SelfCheck::Input input;
  const auto part = [&json](const char* key) {
    return json.is_object() && json.contains(key) ? json[key]
                                                  : nlohmann::json();
  };
  const auto ids = ReadIds(part("ids"), config.vocabulary_size);
  const size_t most = config.max_positions;
  if (!ids.has_value() || ids->empty() || ids->size() > most) {
    return Bad(folder, where,
               absl::StrCat("'ids' with 1 to ", most, " tokens below ",
                            config.vocabulary_size));
  }
  const auto types =
      ReadIds(part("type_ids"), std::max(1, config.type_vocabulary_size));
  if (!types.has_value() || types->size() != ids->size()) {
    return Bad(folder, where,
               absl::StrCat("'type_ids' with ", ids->size(), " types"));
  }
  const nlohmann::json digest = part("logits_sha256");
  if (!digest.is_string()) {
    return Bad(folder, where, "'logits_sha256', a string");
  }
  return SelfCheck::Input{*ids, *types, digest.get<std::string>()};
}

std::string LogitsDigest(const SelfCheck::Input& input, const Engine& engine,
                         Workspace& workspace, ThreadTeam& alone) {
  Batch batch;
  batch.Add(input.ids, input.type_ids);
  const absl::StatusOr<absl::Span<const float>> logits =
      engine.Forward(batch, workspace, alone, [] { return false; });
  if (!logits.ok()) return std::string(logits.status().message());
  return Sha256Hex({reinterpret_cast<const uint8_t*>(logits->data()),
                    logits->size() * sizeof(float)});
}

// Tokens from all of the vocabulary, always the same.
std::vector<SelfCheck::Input> MakeInputs(const BertConfig& config) {
  std::vector<SelfCheck::Input> inputs;
  uint32_t state = 1;
  for (const int tokens : kInputTokens) {
    const int length = std::min(tokens, config.max_positions);
    SelfCheck::Input& input = inputs.emplace_back();
    for (int i = 0; i < length; ++i) {
      state = state * 1664525 + 1013904223;  // Numerical Recipes, "ranqd1"
      input.ids.push_back(static_cast<int32_t>(
          (uint64_t{state} * static_cast<uint64_t>(config.vocabulary_size)) >>
          32));
      const bool second = config.type_vocabulary_size > 1 && i >= length / 2;
      input.type_ids.push_back(second ? 1 : 0);
    }
  }
  return inputs;
}

Workspace WorkspaceFor(const SelfCheck& check, const BertConfig& config) {
  size_t tokens = 0;
  for (const SelfCheck::Input& input : check.inputs) {
    tokens = std::max(tokens, input.ids.size());
  }
  Workspace workspace(static_cast<int>(tokens), /*max_threads=*/1);
  workspace.Reserve(config);
  return workspace;
}

}  // namespace

absl::StatusOr<std::optional<SelfCheck>> ReadSelfCheck(
    const std::string& folder, const BertConfig& config) {
  const absl::StatusOr<nlohmann::json> json =
      ReadJsonObjectFile(PathIn(folder));
  if (absl::IsNotFound(json.status())) return std::nullopt;
  if (!json.ok()) return json.status();
  if (json->value("version", nlohmann::json()) != kFormatVersion) {
    return Bad(folder, "'version'", absl::StrCat(kFormatVersion));
  }
  SelfCheck check;
  const nlohmann::json vocabulary =
      json->value("vocabulary_sha256", nlohmann::json());
  if (!vocabulary.is_string()) {
    return Bad(folder, "'vocabulary_sha256'", "a string");
  }
  check.vocabulary_sha256 = vocabulary.get<std::string>();
  const absl::StatusOr<std::string> digest = VocabularyDigest(folder);
  if (!digest.ok()) return digest.status();
  if (*digest != check.vocabulary_sha256) {
    return absl::DataLossError(
        absl::StrCat(PathIn(folder), ": vocab.txt: expected SHA-256 ",
                     check.vocabulary_sha256, ", found ", *digest));
  }
  const nlohmann::json inputs = json->value("inputs", nlohmann::json());
  if (!inputs.is_array() || inputs.empty() || inputs.size() > kMaxInputs) {
    return Bad(folder, "'inputs'", absl::StrCat("1 to ", kMaxInputs));
  }
  for (size_t i = 0; i < inputs.size(); ++i) {
    absl::StatusOr<SelfCheck::Input> input =
        ReadInput(folder, absl::StrCat("inputs[", i, "]"), inputs[i], config);
    if (!input.ok()) return input.status();
    check.inputs.push_back(*std::move(input));
  }
  return check;
}

absl::Status RunSelfCheck(const SelfCheck& check, const Engine& engine) {
  Workspace workspace = WorkspaceFor(check, engine.config());
  ThreadTeam alone(1);
  for (size_t i = 0; i < check.inputs.size(); ++i) {
    const std::string found =
        LogitsDigest(check.inputs[i], engine, workspace, alone);
    if (found == check.inputs[i].logits_sha256) continue;
    return absl::DataLossError(absl::StrCat(
        "self-check: inputs[", i, "]: expected logits with SHA-256 ",
        check.inputs[i].logits_sha256, ", the kernels '", engine.variant(),
        "' gave ", found));
  }
  return absl::OkStatus();
}

absl::Status WriteSelfCheck(const std::string& folder) {
  EngineOptions options;
  options.variant = AllVariants().back()->name;
  const auto engine = Engine::Load(folder, options);
  if (!engine.ok()) return engine.status();
  if ((*engine)->precision() != Precision::kTernary) {
    return absl::FailedPreconditionError(absl::StrCat(
        folder,
        ": self-check: expected a ternary folder; only ternary models "
        "have the same bits everywhere"));
  }
  const absl::StatusOr<std::string> vocabulary = VocabularyDigest(folder);
  if (!vocabulary.ok()) return vocabulary.status();

  SelfCheck check;
  check.inputs = MakeInputs((*engine)->config());
  Workspace workspace = WorkspaceFor(check, (*engine)->config());
  ThreadTeam alone(1);
  nlohmann::ordered_json json = {{"version", kFormatVersion},
                                 {"vocabulary_sha256", *vocabulary},
                                 {"inputs", nlohmann::ordered_json::array()}};
  for (const SelfCheck::Input& input : check.inputs) {
    json["inputs"].push_back(
        {{"ids", input.ids},
         {"type_ids", input.type_ids},
         {"logits_sha256", LogitsDigest(input, **engine, workspace, alone)}});
  }
  const std::string text = json.dump() + "\n";
  return WriteFileAtomically(
      PathIn(folder),
      {{reinterpret_cast<const uint8_t*>(text.data()), text.size()}});
}

absl::StatusOr<CheckedEngine> LoadCheckedEngine(const std::string& folder,
                                                const EngineOptions& options) {
  const absl::StatusOr<const Variant*> chosen = ChooseVariant(options.variant);
  if (!chosen.ok()) return chosen.status();
  std::vector<const Variant*> variants = {*chosen};
  std::vector<const Variant*> supported;
  for (const Variant* variant : AllVariants()) {
    if (variant->supported()) supported.push_back(variant);
  }
  // Another than the best is one that somebody asked for.
  if (*chosen == supported.front() && supported.size() > 1) {
    variants.push_back(supported[1]);
  }
  return LoadCheckedEngine(folder, options, variants);
}

absl::StatusOr<CheckedEngine> LoadCheckedEngine(
    const std::string& folder, EngineOptions options,
    absl::Span<const Variant* const> variants) {
  CheckedEngine checked;
  for (const Variant* variant : variants) {
    options.kernels = variant;
    auto engine = Engine::Load(folder, options);
    if (!engine.ok()) return engine.status();
    const auto check = ReadSelfCheck(folder, (*engine)->config());
    if (!check.ok()) return check.status();
    checked.engine = *std::move(engine);
    if (!check->has_value() ||
        checked.engine->precision() != Precision::kTernary) {
      return checked;
    }
    const absl::Status passed = RunSelfCheck(**check, *checked.engine);
    checked.checked = passed.ok();
    if (passed.ok()) return checked;
    if (checked.fell_back.ok()) checked.fell_back = passed;
  }
  return checked.fell_back;
}

}  // namespace tern

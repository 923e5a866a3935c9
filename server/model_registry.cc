#include "server/model_registry.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "model/self_check.h"
#include "server/log.h"
#include "server/status_mapping.h"

namespace tern {
namespace {

ModelUse UseOf(Task task) {
  if (task == Task::kQuestionAnswering) return ModelUse::kAnswer;
  if (task == Task::kEmbedding) return ModelUse::kEmbed;
  return ModelUse::kClassify;
}

bool UsedFor(const ServedModel& model, ModelUse use) {
  return UseOf(model.engine->config().task) == use;
}

absl::string_view UseName(ModelUse use) {
  switch (use) {
    case ModelUse::kClassify:
      return "classification";
    case ModelUse::kAnswer:
      return "question answering";
    case ModelUse::kEmbed:
      return "embedding";
  }
  return "";
}

}  // namespace

absl::StatusOr<std::shared_ptr<const ServedModel>> LoadServedModel(
    const ModelSource& source, bool verify_checksums) {
  const std::string prefix = absl::StrCat("model '", source.name, "'");
  const absl::Time start = absl::Now();
  auto model = std::make_shared<ServedModel>();
  model->name = source.name;
  model->version = source.version;

  auto tokenizer = Tokenizer::Load(source.folder);
  if (!tokenizer.ok()) return Annotate(tokenizer.status(), prefix);
  model->tokenizer = *std::move(tokenizer);

  EngineOptions options;
  options.precision = source.precision;
  options.verify_checksums = verify_checksums;
  auto engine = LoadCheckedEngine(source.folder, options);
  if (!engine.ok()) return Annotate(engine.status(), prefix);
  model->engine = std::move(engine->engine);
  model->self_checked = engine->checked;
  if (!engine->fell_back.ok()) {
    Log(LogLevel::kError, "self-check failed: model runs on other kernels",
        {{"model", source.name},
         {"version", source.version},
         {"variant", std::string(model->engine->variant())},
         {"error", std::string(engine->fell_back.message())}});
  }

  const int tokens = model->tokenizer->vocabulary_size();
  const int embeddings = model->engine->config().vocabulary_size;
  if (tokens > embeddings) {
    return absl::InvalidArgumentError(absl::StrCat(
        prefix, ": vocab.txt in '", source.folder, "': expected at most ",
        embeddings, " tokens (vocab_size of config.json), found ", tokens));
  }
  model->load_time = absl::Now() - start;
  return model;
}

bool ModelRegistry::OlderVersion::operator()(const std::string& a,
                                             const std::string& b) const {
  const std::vector<absl::string_view> parts_a = absl::StrSplit(a, '.');
  const std::vector<absl::string_view> parts_b = absl::StrSplit(b, '.');
  for (size_t i = 0; i < parts_a.size() && i < parts_b.size(); ++i) {
    int64_t number_a = 0, number_b = 0;
    if (absl::SimpleAtoi(parts_a[i], &number_a) &&
        absl::SimpleAtoi(parts_b[i], &number_b)) {
      if (number_a != number_b) return number_a < number_b;
    } else if (parts_a[i] != parts_b[i]) {
      return parts_a[i] < parts_b[i];
    }
  }
  return parts_a.size() < parts_b.size();
}

std::shared_ptr<const ModelRegistry::Catalog> ModelRegistry::catalog() const {
  std::lock_guard lock(mutex_);
  return catalog_;
}

absl::Status ModelRegistry::Change(const Models& added, const Models& removed) {
  // The old catalog, and with it perhaps models, goes after the lock.
  std::shared_ptr<const Catalog> old;
  std::lock_guard lock(mutex_);
  auto changed = std::make_shared<Catalog>(*catalog_);
  for (const auto& model : removed) {
    const auto versions = changed->models.find(model->name);
    if (versions == changed->models.end()) continue;
    const auto entry = versions->second.find(model->version);
    if (entry == versions->second.end() || entry->second != model) continue;
    versions->second.erase(entry);
    if (versions->second.empty()) changed->models.erase(versions);
  }
  for (const auto& model : added) {
    if (!changed->models[model->name].emplace(model->version, model).second) {
      return absl::AlreadyExistsError(
          absl::StrCat("model '", model->name, "' is given twice in version '",
                       model->version, "'"));
    }
  }
  old = std::exchange(catalog_, std::move(changed));
  return absl::OkStatus();
}

void ModelRegistry::SetLabels(Labels labels) {
  std::lock_guard lock(mutex_);
  auto changed = std::make_shared<Catalog>(*catalog_);
  changed->labels = std::move(labels);
  catalog_ = std::move(changed);
}

absl::StatusOr<std::shared_ptr<const ServedModel>> ModelRegistry::FindIn(
    const Catalog& catalog, absl::string_view name, absl::string_view version) {
  const auto versions = catalog.models.find(name);
  if (versions == catalog.models.end()) {
    return absl::NotFoundError(absl::StrCat(
        "no model '", name, "' is served; served: ", ServedNames(catalog)));
  }
  if (version.empty()) return versions->second.rbegin()->second;
  const auto label =
      catalog.labels.find(std::pair(std::string(name), std::string(version)));
  const auto model = versions->second.find(
      label == catalog.labels.end() ? std::string(version) : label->second);
  if (model == versions->second.end()) {
    return absl::NotFoundError(absl::StrCat(
        "model '", name, "' has no version '", version, "'; served: ",
        absl::StrJoin(versions->second, ", ",
                      [](std::string* out, const auto& entry) {
                        absl::StrAppend(out, entry.first);
                      })));
  }
  return model->second;
}

absl::StatusOr<std::shared_ptr<const ServedModel>> ModelRegistry::Find(
    absl::string_view name, absl::string_view version) const {
  return FindIn(*catalog(), name, version);
}

absl::StatusOr<std::shared_ptr<const ServedModel>> ModelRegistry::FindFor(
    ModelUse use, absl::string_view name, absl::string_view version) const {
  const std::shared_ptr<const Catalog> catalog = this->catalog();
  if (!name.empty()) {
    auto model = FindIn(*catalog, name, version);
    if (model.ok() && !UsedFor(**model, use)) {
      return absl::InvalidArgumentError(
          absl::StrCat("model '", name, "' is not made for ", UseName(use)));
    }
    return model;
  }
  std::vector<absl::string_view> names;
  for (const auto& [model_name, versions] : catalog->models) {
    if (UsedFor(*versions.rbegin()->second, use)) names.push_back(model_name);
  }
  if (names.empty()) {
    return absl::NotFoundError(
        absl::StrCat("no model for ", UseName(use), " is served"));
  }
  if (names.size() > 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        "model: expected a name, since several models are made for ",
        UseName(use), ": ", absl::StrJoin(names, ", "), "; found none"));
  }
  return FindIn(*catalog, names.front(), version);
}

ModelRegistry::Models ModelRegistry::All() const {
  const std::shared_ptr<const Catalog> catalog = this->catalog();
  Models all;
  for (const auto& [name, versions] : catalog->models) {
    for (const auto& [version, model] : versions) all.push_back(model);
  }
  return all;
}

std::string ModelRegistry::ServedNames(const Catalog& catalog) {
  if (catalog.models.empty()) return "none";
  return absl::StrJoin(catalog.models, ", ",
                       [](std::string* out, const auto& entry) {
                         absl::StrAppend(out, entry.first);
                       });
}

}  // namespace tern

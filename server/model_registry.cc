#include "server/model_registry.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
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
  auto engine = Engine::Load(source.folder, options);
  if (!engine.ok()) return Annotate(engine.status(), prefix);
  model->engine = *std::move(engine);

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

absl::Status ModelRegistry::Add(std::shared_ptr<const ServedModel> model) {
  std::lock_guard lock(mutex_);
  const std::string name = model->name, version = model->version;
  if (!models_[name].emplace(version, std::move(model)).second) {
    return absl::AlreadyExistsError(absl::StrCat(
        "model '", name, "' is given twice in version '", version, "'"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<const ServedModel>> ModelRegistry::Find(
    absl::string_view name, absl::string_view version) const {
  std::lock_guard lock(mutex_);
  const auto versions = models_.find(name);
  if (versions == models_.end()) {
    return absl::NotFoundError(absl::StrCat(
        "no model '", name, "' is served; served: ", ServedNames()));
  }
  if (version.empty()) return versions->second.rbegin()->second;
  const auto model = versions->second.find(std::string(version));
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

absl::StatusOr<std::shared_ptr<const ServedModel>> ModelRegistry::FindFor(
    ModelUse use, absl::string_view name, absl::string_view version) const {
  if (!name.empty()) {
    auto model = Find(name, version);
    if (model.ok() && !UsedFor(**model, use)) {
      return absl::InvalidArgumentError(
          absl::StrCat("model '", name, "' is not made for ", UseName(use)));
    }
    return model;
  }
  std::vector<std::string> names;
  {
    std::lock_guard lock(mutex_);
    for (const auto& [model_name, versions] : models_) {
      if (UsedFor(*versions.rbegin()->second, use)) names.push_back(model_name);
    }
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
  return Find(names.front(), version);
}

std::vector<std::shared_ptr<const ServedModel>> ModelRegistry::All() const {
  std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<const ServedModel>> all;
  for (const auto& [name, versions] : models_) {
    for (const auto& [version, model] : versions) all.push_back(model);
  }
  return all;
}

std::string ModelRegistry::ServedNames() const {
  if (models_.empty()) return "none";
  return absl::StrJoin(models_, ", ", [](std::string* out, const auto& entry) {
    absl::StrAppend(out, entry.first);
  });
}

}  // namespace tern

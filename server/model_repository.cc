#include "server/model_repository.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <exception>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "server/log.h"

namespace tern {
namespace {

// Between the two looks before the server serves, at most.
constexpr absl::Duration kSettle = absl::Seconds(1);

// The nice value of a thread that loads while the server serves: beside a busy
// worker it gets a hundredth or so of a core.
constexpr int kLoadingNice = 19;

// Runs `work` on a thread of low priority and waits for its end. A thread of
// its own, since a thread without privileges gets no higher priority again.
void RunAtLowPriority(const std::function<void()>& work) {
  std::thread([&work] {
    setpriority(PRIO_PROCESS, gettid(), kLoadingNice);
    work();
  }).join();
}

absl::StatusOr<std::shared_ptr<const ServedModel>> TryLoadServedModel(
    const ModelSource& source, bool verify_checksums, bool low_priority) {
  absl::StatusOr<std::shared_ptr<const ServedModel>> model;
  const auto load = [&] {
    try {
      model = LoadServedModel(source, verify_checksums);
    } catch (const std::exception& error) {  // no memory, mostly
      model = absl::ResourceExhaustedError(
          absl::StrCat("model '", source.name, "': ", error.what()));
    }
  };
  if (!low_priority) {
    load();
    return model;
  }
  try {
    RunAtLowPriority(load);
  } catch (const std::exception& error) {  // no thread
    model = absl::ResourceExhaustedError(
        absl::StrCat("model '", source.name, "': ", error.what()));
  }
  return model;
}

}  // namespace

ModelRepository::ModelRepository(const Options& options,
                                 ModelRegistry* registry, Observer observer)
    : options_(options), registry_(registry), observer_(std::move(observer)) {}

ModelRepository::~ModelRepository() {
  Stop();
  if (thread_.joinable()) thread_.join();
}

absl::Status ModelRepository::LoadAll() {
  if (absl::Status status = Look(); !status.ok()) return status;
  if (!HasPending()) return absl::OkStatus();
  absl::SleepFor(options_.poll > absl::ZeroDuration()
                     ? std::min(options_.poll, kSettle)
                     : kSettle);
  return Look();
}

void ModelRepository::Watch() {
  serving_ = true;
  if (options_.poll == absl::ZeroDuration()) return;
  thread_ = std::thread([this] { Run(); });
}

void ModelRepository::Stop() {
  stopped_ = true;
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stop_.notify_all();
}

void ModelRepository::Run() {
  absl::Status last;
  std::unique_lock lock(mutex_);
  while (!stop_.wait_for(
      lock, absl::ToChronoNanoseconds(options_.poll),
      [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return stopping_; })) {
    lock.unlock();
    const absl::Status status = Look();
    if (!status.ok() && status != last) {
      Log(LogLevel::kWarning, "model repository cannot be read; all stays",
          {{"error", std::string(status.message())}});
    }
    last = status;
    lock.lock();
  }
}

absl::Status ModelRepository::Look() {
  std::lock_guard lock(looking_);
  return LookAndLoad("");
}

absl::Status ModelRepository::LookAndLoad(const std::string& urgent) {
  absl::StatusOr<FoundModels> found = ScanRepository(options_.root);
  if (!found.ok()) return found.status();
  std::sort(found->versions.begin(), found->versions.end(),
            [](const auto& a, const auto& b) {
              return std::tie(a.name, a.version) < std::tie(b.name, b.version);
            });
  NoteUnreadable(found->unreadable);
  for (auto& [key, version] : versions_) {
    version.there = unreadable_.contains(key.first);
  }
  for (const auto& [key, version] : labels_) {
    if (!unreadable_.contains(key.first)) continue;
    found->labels.push_back({key.first, key.second, version});
  }
  for (const FoundVersion& one : found->versions) {
    Version& version = versions_[{one.name, one.version}];
    version.there = true;
    version.kept = false;
    const bool settled = version.seen == one.fingerprint || one.name == urgent;
    version.seen = one.fingerprint;
    // What failed may have had another reason than its files.
    const bool again = one.name == urgent && !version.problem.empty();
    if (settled && (one.fingerprint != version.tried || again) &&
        !unloaded_.contains(one.name)) {
      TryToLoad(one, version);
    }
  }
  MoveLabels(found->labels);
  UnloadGone();
  return absl::OkStatus();
}

void ModelRepository::NoteUnreadable(const std::vector<std::string>& names) {
  std::set<std::string> unreadable(names.begin(), names.end());
  if (unreadable == unreadable_) return;
  unreadable_ = std::move(unreadable);
  if (unreadable_.empty()) return;
  Log(LogLevel::kWarning,
      "folders of the model repository may not be read; their models stay",
      {{"names", absl::StrJoin(unreadable_, ", ")}});
}

void ModelRepository::MoveLabels(const std::vector<FoundLabel>& found) {
  ModelRegistry::Labels labels;
  for (const FoundLabel& one : found) {
    const auto serves = [&](const std::string& version) {
      const auto entry = versions_.find({one.name, version});
      return entry != versions_.end() && entry->second.served != nullptr;
    };
    const std::pair key(one.name, one.label);
    const auto before = labels_.find(key);
    if (serves(one.version)) {
      labels[key] = one.version;
    } else if (before != labels_.end() && serves(before->second)) {
      labels[key] = before->second;
    }
  }
  if (stopped_ || labels == labels_) return;
  registry_->SetLabels(labels);
  labels_ = std::move(labels);
  Log(LogLevel::kInfo, "labels moved",
      {{"labels",
        absl::StrJoin(labels_, ", ", [](std::string* out, const auto& entry) {
          const auto& [key, version] = entry;
          absl::StrAppend(out, key.first, "/", key.second, "=", version);
        })}});
}

void ModelRepository::TryToLoad(const FoundVersion& found, Version& version) {
  if (stopped_) return;
  const ModelSource source = {
      .name = found.name, .version = found.version, .folder = found.folder};
  absl::StatusOr<Model> model =
      TryLoadServedModel(source, options_.verify_checksums, serving_);
  if (stopped_) return;
  version.seen = FolderFingerprint(found.folder);
  if (version.seen != found.fingerprint) return;  // it is not complete
  version.tried = found.fingerprint;
  if (model.ok()) {
    ModelRegistry::Models replaced;
    if (version.served != nullptr) replaced.push_back(version.served);
    absl::Status changed = registry_->Change({*model}, replaced);
    if (!changed.ok()) model = std::move(changed);
  }
  version.problem = std::string(model.status().message());
  observer_.loaded(source, model);
  if (!model.ok()) return;
  version.served = *std::move(model);
  observer_.changed();
}

void ModelRepository::UnloadGone() {
  if (stopped_) return;
  std::set<std::string> still_there;
  std::map<std::string, int> served_and_there;
  for (const auto& [key, version] : versions_) {
    if (!version.there) continue;
    still_there.insert(key.first);
    if (version.served != nullptr) ++served_and_there[key.first];
  }
  for (auto entry = versions_.begin(); entry != versions_.end();) {
    auto& [key, version] = *entry;
    const bool keep = version.there || (version.served != nullptr &&
                                        still_there.contains(key.first) &&
                                        served_and_there[key.first] == 0);
    if (keep) {
      if (!version.there && !std::exchange(version.kept, true)) {
        Log(LogLevel::kWarning,
            "model's folder has gone; it stays until another can be served",
            {{"model", key.first}, {"version", key.second}});
      }
      ++entry;
      continue;
    }
    TakeOut(version);
    entry = versions_.erase(entry);
  }
}

void ModelRepository::TakeOut(Version& version) {
  version.tried.clear();
  const Model model = std::exchange(version.served, nullptr);
  if (model == nullptr) return;
  (void)registry_->Change({}, {model});  // nothing is added: it cannot fail
  Log(LogLevel::kInfo, "model unloaded",
      {{"model", model->name}, {"version", model->version}});
  observer_.changed();
}

bool ModelRepository::HasPending() {
  std::lock_guard lock(looking_);
  return std::any_of(versions_.begin(), versions_.end(), [](const auto& entry) {
    return entry.second.seen != entry.second.tried;
  });
}

absl::Status ModelRepository::Load(const std::string& name) {
  std::lock_guard lock(looking_);
  unloaded_.erase(name);
  if (absl::Status status = LookAndLoad(name); !status.ok()) return status;
  bool found = false;
  std::vector<std::string> problems;
  for (const auto& [key, version] : versions_) {
    if (key.first != name) continue;
    found = true;
    if (version.problem.empty() && version.seen == version.tried) continue;
    problems.push_back(absl::StrCat(
        "version ", key.second, ": ",
        version.problem.empty() ? "its files changed while they were read"
                                : version.problem));
  }
  if (stopped_) return absl::UnavailableError("the server is shutting down");
  if (!found) {
    return absl::NotFoundError(absl::StrCat(
        "model '", name, "': no version stands in '", options_.root, "'"));
  }
  if (problems.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrJoin(problems, "; "));
}

std::vector<ModelRepository::Refused> ModelRepository::AllRefused() {
  std::lock_guard lock(looking_);
  std::vector<Refused> all;
  for (const auto& [key, version] : versions_) {
    if (version.problem.empty()) continue;
    all.push_back({key.first, key.second, version.problem});
  }
  return all;
}

absl::Status ModelRepository::Unload(const std::string& name) {
  std::lock_guard lock(looking_);
  bool found = false;
  for (auto& [key, version] : versions_) {
    if (key.first != name || version.served == nullptr) continue;
    found = true;
    TakeOut(version);
  }
  if (!found) {
    return absl::NotFoundError(absl::StrCat(
        "model '", name, "': no version is served from '", options_.root, "'"));
  }
  unloaded_.insert(name);
  return absl::OkStatus();
}

}  // namespace tern

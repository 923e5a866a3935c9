// The models that the server serves, by name and version.
//
// They may change while the server serves: a change makes a new catalog, which
// takes the place of the old one at one moment. A request keeps the model that
// it started with, and a model's memory is freed when the last request that
// runs on it has ended.
//
// Thread-safe.

#ifndef TERN_SERVER_MODEL_REGISTRY_H_
#define TERN_SERVER_MODEL_REGISTRY_H_

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "model/engine.h"
#include "tokenizer/tokenizer.h"

namespace tern {

// Where a model comes from and how it shall run.
struct ModelSource {
  std::string name = "";  // what requests call it
  std::string version = "1";
  std::string folder = "";     // a Hugging Face folder
  std::string precision = "";  // empty for what the folder suggests
};

// A loaded model. Constant once it is in a registry.
struct ServedModel {
  std::string name;
  std::string version;
  std::unique_ptr<const Engine> engine;
  std::unique_ptr<const Tokenizer> tokenizer;
  bool self_checked = false;  // else its folder has no self-check to pass
  absl::Duration load_time;
};

// Loads engine and tokenizer, and checks that they fit each other and pass the
// folder's self-check, if need be with other kernels than the best.
// Errors: those of LoadCheckedEngine and Tokenizer::Load, with the model's name
// in front; INVALID_ARGUMENT where the tokenizer has more tokens than the
// engine.
absl::StatusOr<std::shared_ptr<const ServedModel>> LoadServedModel(
    const ModelSource& source, bool verify_checksums);

// What a request needs of a model.
enum class ModelUse { kClassify, kAnswer, kEmbed };

class ModelRegistry {
 public:
  using Models = std::vector<std::shared_ptr<const ServedModel>>;

  // Takes `removed` out and puts `added` in; no reader sees one without the
  // other. Of `removed`, what is not served is ignored.
  // Errors, which change nothing: ALREADY_EXISTS for a second model of a name
  // and version.
  absl::Status Change(const Models& added, const Models& removed);
  absl::Status Add(std::shared_ptr<const ServedModel> model) {
    return Change({std::move(model)}, {});
  }

  // Other words for versions: {name, label} -> version.
  using Labels =
      std::map<std::pair<std::string, std::string>, std::string, std::less<>>;
  // In the place of all that were before.
  void SetLabels(Labels labels);

  // The model; `version` may be a label, and an empty one means the newest.
  // Errors: NOT_FOUND listing what is served.
  absl::StatusOr<std::shared_ptr<const ServedModel>> Find(
      absl::string_view name, absl::string_view version) const;

  // The same for a request: an empty name means the one model of that use.
  // Errors: as above; INVALID_ARGUMENT for a model of another use, or for an
  // empty name where several models would do.
  absl::StatusOr<std::shared_ptr<const ServedModel>> FindFor(
      ModelUse use, absl::string_view name, absl::string_view version) const;

  // Sorted by name, then version, oldest first.
  Models All() const;

 private:
  // "2" comes before "10", "1.9" before "1.10".
  struct OlderVersion {
    bool operator()(const std::string& a, const std::string& b) const;
  };
  using Versions =
      std::map<std::string, std::shared_ptr<const ServedModel>, OlderVersion>;

  struct Catalog {
    std::map<std::string, Versions, std::less<>> models;
    Labels labels;
  };

  static std::string ServedNames(const Catalog& catalog);
  static absl::StatusOr<std::shared_ptr<const ServedModel>> FindIn(
      const Catalog& catalog, absl::string_view name,
      absl::string_view version);
  // What is served now; constant.
  std::shared_ptr<const Catalog> catalog() const;

  // std::mutex, which ThreadSanitizer sees; Debian's Abseil is not
  // instrumented, nor would it understand std::atomic<std::shared_ptr>.
  mutable std::mutex mutex_;
  std::shared_ptr<const Catalog> catalog_ ABSL_GUARDED_BY(mutex_) =
      std::make_shared<const Catalog>();
};

}  // namespace tern

#endif  // TERN_SERVER_MODEL_REGISTRY_H_

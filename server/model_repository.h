// Serves what stands in a folder, and follows it.
//
// It looks at the folder again and again. A version that is new there is loaded
// once it is complete, beside those that are served, on a thread of low
// priority; one that has gone is taken out. So a model is replaced by a new
// folder beside the old one, whose requests end on it.
//
//   complete   its files were the same at two looks, and after it was loaded
//   refused    it cannot be loaded, or fails its self-check: what was served
//              stays, and the version is tried again when its files change
//   labelled   a label moves to a version once that is served
//   kept       what a name serves stays though its folders have gone, as long
//              as others stand in the name's folder and none of them is served
//
// Thread-safe.

#ifndef TERN_SERVER_MODEL_REPOSITORY_H_
#define TERN_SERVER_MODEL_REPOSITORY_H_

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/model_registry.h"
#include "server/repository_scan.h"

namespace tern {

class ModelRepository {
 public:
  struct Options {
    std::string root;
    absl::Duration poll = absl::Seconds(2);  // zero: no looks by itself
    bool verify_checksums = true;
  };
  // Told on the thread of the call or of the looks, one at a time.
  struct Observer {
    // A version that was loaded, in `model`, or refused, and why.
    std::function<void(
        const ModelSource& source,
        const absl::StatusOr<std::shared_ptr<const ServedModel>>& model)>
        loaded;
    // After any change of the registry.
    std::function<void()> changed;
  };

  // The registry outlives it.
  ModelRepository(const Options& options, ModelRegistry* registry,
                  Observer observer);
  // Stop(), and waits for a load in progress.
  ~ModelRepository();
  ModelRepository(const ModelRepository&) = delete;
  ModelRepository& operator=(const ModelRepository&) = delete;

  // Loads what there is; takes two looks. For before the server serves.
  // Errors: those of ScanRepository.
  absl::Status LoadAll();
  // Looks every `poll` from now on, on a thread of its own.
  void Watch();
  // Makes no more changes.
  void Stop();

  // One look. Errors: those of ScanRepository; nothing has changed then.
  absl::Status Look();

  // Loads the versions of a name that are new or were unloaded, now: whoever
  // asks knows that they are complete. Errors: NOT_FOUND without any;
  // FAILED_PRECONDITION saying why versions are refused.
  absl::Status Load(const std::string& name);
  // Takes out all versions of a name that it has loaded, until Load().
  // Errors: NOT_FOUND.
  absl::Status Unload(const std::string& name);

  // The versions that stand there and are refused, and why.
  struct Refused {
    std::string name;
    std::string version;
    std::string reason;
  };
  std::vector<Refused> AllRefused();

 private:
  using Model = std::shared_ptr<const ServedModel>;
  struct Version {
    bool there = false;  // at the last look
    std::string seen;    // its fingerprint then
    std::string tried;   // that with which it was loaded or refused
    // Why it was refused; empty: it was not. No absl::Status, whose references
    // ThreadSanitizer cannot see counted.
    std::string problem;
    Model served;       // null: none
    bool kept = false;  // though its folder has gone
  };
  using Versions = std::map<std::pair<std::string, std::string>, Version>;

  // Loads a version and puts it in the place of what was served as it.
  void TryToLoad(const FoundVersion& found, Version& version)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(looking_);
  void NoteUnreadable(const std::vector<std::string>& names)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(looking_);
  void MoveLabels(const std::vector<FoundLabel>& found)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(looking_);
  void UnloadGone() ABSL_EXCLUSIVE_LOCKS_REQUIRED(looking_);
  void TakeOut(Version& version) ABSL_EXCLUSIVE_LOCKS_REQUIRED(looking_);
  bool HasPending() ABSL_LOCKS_EXCLUDED(looking_);
  // Looks, and loads what is new: what has settled or, of `urgent`, all.
  absl::Status LookAndLoad(const std::string& urgent)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(looking_);
  void Run();

  const Options options_;
  ModelRegistry* const registry_;
  const Observer observer_;
  std::atomic<bool> stopped_{false};
  std::atomic<bool> serving_{false};  // loads give way to requests

  // Held for a whole look, loads included.
  std::mutex looking_;
  Versions versions_ ABSL_GUARDED_BY(looking_);
  ModelRegistry::Labels labels_ ABSL_GUARDED_BY(looking_);
  std::set<std::string> unloaded_ ABSL_GUARDED_BY(looking_);  // by Unload()
  std::set<std::string> unreadable_
      ABSL_GUARDED_BY(looking_);  // at the last look

  std::mutex mutex_;
  std::condition_variable stop_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace tern

#endif  // TERN_SERVER_MODEL_REPOSITORY_H_

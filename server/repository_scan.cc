#include "server/repository_scan.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <system_error>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"

namespace tern {
namespace {

namespace fs = std::filesystem;

bool IsModelName(absl::string_view name) {
  return !absl::StartsWith(name, ".") && !absl::EndsWith(name, ".tmp");
}

// "1", "2", ... as they are written, so that no two folders are one version.
bool IsVersion(absl::string_view name) {
  int64_t version = 0;
  return absl::SimpleAtoi(name, &version) && version > 0 &&
         absl::StrCat(version) == name;
}

// The names of the folders in a folder; of one that has gone, none.
absl::StatusOr<std::vector<std::string>> FoldersIn(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    std::error_code gone;
    if (entry->is_directory(gone)) names.push_back(entry->path().filename());
  }
  if (error) {
    return absl::ErrnoToStatus(
        error.value(), absl::StrCat("model repository: ", folder.string()));
  }
  return names;
}

// The version that a link beside it leads to; empty if `path` is no such link.
std::string LinkedVersion(const fs::path& path) {
  std::error_code no_link;
  const std::string target = fs::read_symlink(path, no_link).lexically_normal();
  const absl::string_view version = absl::StripSuffix(target, "/");
  return IsVersion(version) ? std::string(version) : "";
}

}  // namespace

absl::StatusOr<FoundModels> ScanRepository(const std::string& root) {
  const absl::StatusOr<std::vector<std::string>> names = FoldersIn(root);
  if (!names.ok()) return names.status();
  FoundModels found;
  for (const std::string& name : *names) {
    if (!IsModelName(name)) continue;
    const fs::path folder = fs::path(root) / name;
    const absl::StatusOr<std::vector<std::string>> entries = FoldersIn(folder);
    if (absl::IsNotFound(entries.status())) continue;
    if (absl::IsPermissionDenied(entries.status())) {
      found.unreadable.push_back(name);
      continue;
    }
    if (!entries.ok()) return entries.status();
    for (const std::string& entry : *entries) {
      const fs::path path = folder / entry;
      if (!IsVersion(entry)) {
        const std::string linked = LinkedVersion(path);
        if (IsModelName(entry) && !linked.empty()) {
          found.labels.push_back({name, entry, linked});
        }
        continue;
      }
      FoundVersion& one = found.versions.emplace_back();
      one.name = name;
      one.version = entry;
      one.folder = path;
      one.fingerprint = FolderFingerprint(one.folder);
    }
  }
  return found;
}

std::string FolderFingerprint(const std::string& folder) {
  std::vector<std::string> files = {"files:"};
  std::error_code error;
  for (fs::recursive_directory_iterator entry(folder, error), end;
       !error && entry != end; entry.increment(error)) {
    struct stat status {};
    (void)stat(entry->path().c_str(), &status);  // zeros for a link to nothing
    files.push_back(absl::StrCat(entry->path().string(), " ", status.st_size,
                                 " ", status.st_ino, " ", status.st_mtim.tv_sec,
                                 ".", status.st_mtim.tv_nsec));
  }
  if (error) files.push_back(error.message());
  std::sort(files.begin(), files.end());
  return absl::StrJoin(files, "\n");
}

}  // namespace tern

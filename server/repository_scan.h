// What stands in the folder of a model repository.
//
//   ROOT/NAME/VERSION/   a Hugging Face folder; VERSION is a whole number from
//                        1
//   ROOT/NAME/LABEL      a link to VERSION, which requests may call so
//
// Other names, hidden ones and those that end in .tmp are no models: there
// people may put a folder together and then rename it.
//
// Thread-safe: pure functions.

#ifndef TERN_SERVER_REPOSITORY_SCAN_H_
#define TERN_SERVER_REPOSITORY_SCAN_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace tern {

struct FoundVersion {
  std::string name;
  std::string version;
  std::string folder;
  // Changes with any change of the folder's files.
  std::string fingerprint;
};

struct FoundLabel {
  std::string name;
  std::string label;
  std::string version;
};

struct FoundModels {
  std::vector<FoundVersion> versions;
  std::vector<FoundLabel> labels;
  std::vector<std::string> unreadable;  // names of folders without permission
};

// All versions and labels, in no order.
// Errors: what errno says, naming the folder that cannot be read; a part of a
// repository is not to be taken for all of it.
absl::StatusOr<FoundModels> ScanRepository(const std::string& root);

// Names, sizes, times and inodes of all files below `folder`; of what cannot be
// read, that it cannot.
std::string FolderFingerprint(const std::string& folder);

}  // namespace tern

#endif  // TERN_SERVER_REPOSITORY_SCAN_H_

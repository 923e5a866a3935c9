// A temporary folder for as long as the fuzzer runs.

#ifndef TERN_TESTS_FUZZ_FUZZ_FOLDER_H_
#define TERN_TESTS_FUZZ_FUZZ_FOLDER_H_

#include <cstdlib>
#include <filesystem>
#include <string>

namespace tern {

class FuzzFolder {
 public:
  FuzzFolder() : path_(std::filesystem::temp_directory_path() / "fuzz-XXXXXX") {
    if (mkdtemp(path_.data()) == nullptr) std::abort();
  }
  ~FuzzFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace tern

#endif  // TERN_TESTS_FUZZ_FUZZ_FOLDER_H_

#include "train/run_log.h"

#include "absl/strings/str_cat.h"
#include "files/regular_file.h"

namespace tern {
namespace {

std::string LinesUpTo(const std::string& path, int64_t step) {
  std::ifstream file(path);
  std::string kept;
  for (std::string line; std::getline(file, line);) {
    const nlohmann::json object =
        nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    // A crash may have cut the last line short.
    if (!object.is_object()) continue;
    if (object.value("step", int64_t{0}) <= step) kept += line + "\n";
  }
  return kept;
}

}  // namespace

absl::Status RunLog::Open(const std::string& path, int64_t step) {
  const std::string kept = LinesUpTo(path, step);
  const absl::Span<const uint8_t> bytes(
      reinterpret_cast<const uint8_t*>(kept.data()), kept.size());
  absl::Status status = WriteFileAtomically(path, {bytes});
  if (!status.ok()) return status;
  path_ = path;
  file_.open(path, std::ios::app);
  return Check();
}

absl::Status RunLog::Write(const nlohmann::json& line) {
  file_ << line.dump() << std::endl;
  return Check();
}

absl::Status RunLog::Check() const {
  if (file_) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat(path_, ": cannot be written"));
}

}  // namespace tern

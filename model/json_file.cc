#include "model/json_file.h"

#include <set>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "files/regular_file.h"

namespace tern {
namespace {

constexpr int kMaxLevels = 16;
constexpr int64_t kMaxConfigBytes = int64_t{16} << 20;

// Looks at the whole text before anything is built from it: nlohmann's own
// parser keeps the last of two equal keys and takes any number of levels.
class JsonCheck : public nlohmann::json_sax<nlohmann::json> {
 public:
  const std::string& problem() const { return problem_; }

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }

  bool start_object(std::size_t) override { return Enter(); }
  bool end_object() override { return Leave(); }
  bool start_array(std::size_t) override { return Enter(); }
  bool end_array() override { return Leave(); }

  bool key(string_t& name) override {
    if (keys_.back().insert(name).second) return true;
    problem_ = absl::StrCat("key '", name, "' stands twice");
    return false;
  }

  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception&) override {
    problem_ = absl::StrCat("not valid JSON at byte ", position);
    return false;
  }

 private:
  bool Enter() {
    keys_.emplace_back();
    if (keys_.size() <= kMaxLevels) return true;
    problem_ = absl::StrCat("more than ", kMaxLevels, " levels of JSON");
    return false;
  }
  bool Leave() {
    keys_.pop_back();
    return true;
  }

  std::vector<std::set<std::string>> keys_;  // one set per open level
  std::string problem_;
};

// Parses one value of the given type, "object" or "array".
absl::StatusOr<nlohmann::json> Parse(absl::string_view text,
                                     absl::string_view what,
                                     absl::string_view type) {
  JsonCheck check;
  if (!nlohmann::json::sax_parse(text.begin(), text.end(), &check)) {
    return absl::InvalidArgumentError(
        absl::StrCat(what, ": ", check.problem()));
  }
  nlohmann::json json = nlohmann::json::parse(text.begin(), text.end(),
                                              /*cb=*/nullptr,
                                              /*allow_exceptions=*/false);
  if (type != json.type_name()) {
    return absl::InvalidArgumentError(absl::StrCat(
        what, ": expected a JSON ", type, ", found ", json.type_name()));
  }
  return json;
}

}  // namespace

absl::StatusOr<nlohmann::json> ParseJsonObject(absl::string_view text,
                                               absl::string_view what) {
  return Parse(text, what, "object");
}

absl::StatusOr<nlohmann::json> ReadJsonObjectFile(const std::string& path) {
  absl::StatusOr<std::string> text = ReadSmallFile(path, kMaxConfigBytes);
  if (!text.ok()) return text.status();
  return ParseJsonObject(*text, path);
}

absl::StatusOr<nlohmann::json> ReadJsonArrayFile(const std::string& path) {
  absl::StatusOr<std::string> text = ReadSmallFile(path, kMaxConfigBytes);
  if (!text.ok()) return text.status();
  return Parse(*text, path, "array");
}

}  // namespace tern

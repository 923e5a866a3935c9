#include "server/json_depth.h"

#include "absl/strings/str_cat.h"

namespace tern {

absl::Status CheckJsonDepth(absl::string_view json) {
  int levels = 0;
  bool in_string = false;
  for (size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (in_string) {
      if (c == '\\') ++i;  // whatever it escapes
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      if (++levels > kMaxJsonLevels) {
        return absl::InvalidArgumentError(
            absl::StrCat("body: expected at most ", kMaxJsonLevels,
                         " levels of arrays and objects, found more"));
      }
    } else if (c == ']' || c == '}') {
      --levels;
    }
  }
  return absl::OkStatus();
}

}  // namespace tern

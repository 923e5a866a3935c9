#include "client/bulk_calls.h"

#include "absl/strings/numbers.h"

namespace tern {

std::optional<size_t> RefusedInput(absl::string_view message) {
  constexpr absl::string_view kPrefix = "inputs[";
  const size_t prefix = message.find(kPrefix);
  if (prefix == absl::string_view::npos) return std::nullopt;
  message.remove_prefix(prefix + kPrefix.size());
  size_t index;
  if (!absl::SimpleAtoi(message.substr(0, message.find(']')), &index)) {
    return std::nullopt;
  }
  return index;
}

}  // namespace tern

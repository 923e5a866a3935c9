// Finds text that the server would refuse, before it is sent.

#ifndef TERN_CLIENT_UTF8_H_
#define TERN_CLIENT_UTF8_H_

#include <cstddef>
#include <optional>

#include "absl/strings/string_view.h"

namespace tern {

// Offset of the first byte that begins no well-formed UTF-8 sequence (Unicode
// 15, table 3-7: no overlong forms, no surrogates, at most U+10FFFF); nullopt
// where all of `text` is well-formed.
std::optional<size_t> FindInvalidUtf8(absl::string_view text);

}  // namespace tern

#endif  // TERN_CLIENT_UTF8_H_

// UTF-8: one validity check per text at the door, then decoding without checks.
//
// Thread-safe: pure functions.

#ifndef TERN_TOKENIZER_UTF8_H_
#define TERN_TOKENIZER_UTF8_H_

#include <cstddef>

#include "absl/strings/string_view.h"

namespace tern {

// The byte at which the first ill-formed sequence of `text` begins (overlong
// forms, surrogates and code points past U+10FFFF are ill-formed), or
// absl::string_view::npos when `text` is valid.
size_t FindInvalidUtf8(absl::string_view text);

// Decodes the code point that begins at `at` in valid UTF-8; sets `size_bytes`.
inline char32_t DecodeUtf8(const char* at, int* size_bytes) {
  const auto byte = [at](int i) -> char32_t {
    return static_cast<unsigned char>(at[i]);
  };
  if (byte(0) < 0x80) {
    *size_bytes = 1;
    return byte(0);
  }
  if (byte(0) < 0xE0) {
    *size_bytes = 2;
    return (byte(0) & 0x1F) << 6 | (byte(1) & 0x3F);
  }
  if (byte(0) < 0xF0) {
    *size_bytes = 3;
    return (byte(0) & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F);
  }
  *size_bytes = 4;
  return (byte(0) & 0x07) << 18 | (byte(1) & 0x3F) << 12 |
         (byte(2) & 0x3F) << 6 | (byte(3) & 0x3F);
}

// Writes `c` to `out`, which has room for four bytes; returns the bytes
// written.
inline int EncodeUtf8(char32_t c, char* out) {
  if (c < 0x80) {
    out[0] = static_cast<char>(c);
    return 1;
  }
  if (c < 0x800) {
    out[0] = static_cast<char>(0xC0 | c >> 6);
    out[1] = static_cast<char>(0x80 | (c & 0x3F));
    return 2;
  }
  if (c < 0x10000) {
    out[0] = static_cast<char>(0xE0 | c >> 12);
    out[1] = static_cast<char>(0x80 | (c >> 6 & 0x3F));
    out[2] = static_cast<char>(0x80 | (c & 0x3F));
    return 3;
  }
  out[0] = static_cast<char>(0xF0 | c >> 18);
  out[1] = static_cast<char>(0x80 | (c >> 12 & 0x3F));
  out[2] = static_cast<char>(0x80 | (c >> 6 & 0x3F));
  out[3] = static_cast<char>(0x80 | (c & 0x3F));
  return 4;
}

}  // namespace tern

#endif  // TERN_TOKENIZER_UTF8_H_

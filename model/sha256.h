// SHA-256, by OpenSSL.
//
// Thread-safe: a pure function.

#ifndef TERN_MODEL_SHA256_H_
#define TERN_MODEL_SHA256_H_

#include <cstdint>
#include <string>

#include "absl/types/span.h"

namespace tern {

// 64 lower-case hexadecimal digits.
std::string Sha256Hex(absl::Span<const uint8_t> bytes);

}  // namespace tern

#endif  // TERN_MODEL_SHA256_H_

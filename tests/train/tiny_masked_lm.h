// A tiny model that has a masked-language-model head, too.

#ifndef TERN_TESTS_TRAIN_TINY_MASKED_LM_H_
#define TERN_TESTS_TRAIN_TINY_MASKED_LM_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"

namespace tern {

// WriteTinyModel's folder with random "cls.predictions" tensors beside the
// others, drawn by `seed`. The same bytes each time.
absl::Status WriteTinyMaskedLm(const std::string& folder, uint32_t seed = 1);

}  // namespace tern

#endif  // TERN_TESTS_TRAIN_TINY_MASKED_LM_H_

// Texts for load: English-like, of very different lengths, some not ASCII.

#ifndef TERN_TESTS_END_TO_END_RANDOM_TEXTS_H_
#define TERN_TESTS_END_TO_END_RANDOM_TEXTS_H_

#include <cstdint>
#include <string>
#include <vector>

namespace tern {

// `count` texts of 1 to about 100 words, most of them short; the same seed
// gives the same texts.
std::vector<std::string> RandomTexts(int count, uint32_t seed);

}  // namespace tern

#endif  // TERN_TESTS_END_TO_END_RANDOM_TEXTS_H_

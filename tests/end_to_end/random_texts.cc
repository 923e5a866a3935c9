#include "tests/end_to_end/random_texts.h"

#include <cmath>
#include <random>

#include "absl/strings/str_cat.h"

namespace tern {
namespace {

constexpr const char* kWords[] = {
    "a",       "the",   "film",          "is",
    "not",     "very",  "gripping",      "dull",
    "story",   "of",    "two",           "sisters",
    "and",     "their", "quiet",         "hometown",
    "but",     "it",    "never",         "finds",
    "its",     "voice", "brilliant",     "acting",
    "saves",   "what",  "little",        "plot",
    "remains", "naïve", "café",          "déjà-vu",
    "1,024",   "3.14",  "don't",         "--",
    "(again)", "!!!",   "\"wow\"",       "...",
    "тёплый",  "映画",  "unflinchingly", "counterintuitively",
    "x",       "😀",
};

}  // namespace

std::vector<std::string> RandomTexts(int count, uint32_t seed) {
  std::mt19937 random(seed);
  std::uniform_int_distribution<size_t> word(0, std::size(kWords) - 1);
  std::uniform_real_distribution<double> log_length(0, std::log(100.0));
  std::vector<std::string> texts;
  for (int i = 0; i < count; ++i) {
    const int words = static_cast<int>(std::exp(log_length(random)));
    std::string text = kWords[word(random)];
    for (int w = 1; w < words; ++w) {
      absl::StrAppend(&text, " ", kWords[word(random)]);
    }
    texts.push_back(std::move(text));
  }
  return texts;
}

}  // namespace tern

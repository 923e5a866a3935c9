// A fuzz target without a fuzzer: its corpus, and random changes of it, which
// are the same ones in each run.

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace tern {
namespace {

constexpr int kMutationsOfEach = 200;

void RunInput(const std::string& input) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(input.data()),
                         input.size());
}

// 1 to 4 bytes changed, dropped or doubled, or the end cut off.
std::string Mutated(std::string input, std::mt19937& random) {
  for (int changes = 1 + random() % 4; changes > 0 && !input.empty();
       --changes) {
    const size_t at = random() % input.size();
    switch (random() % 4) {
      case 0:
        input[at] = static_cast<char>(random());
        break;
      case 1:
        input.erase(at, 1 + random() % 4);
        break;
      case 2:
        input.insert(at, input.substr(at, 1 + random() % 16));
        break;
      case 3:
        input.resize(at);
        break;
    }
  }
  return input;
}

TEST(TERN_FUZZ_SUITE, SurvivesItsCorpusAndMutationsOfIt) {
  std::mt19937 random(1);
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(TERN_CORPUS)) {
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string input(std::istreambuf_iterator<char>(file), {});
    RunInput(input);
    for (int i = 0; i < kMutationsOfEach; ++i) RunInput(Mutated(input, random));
    ++files;
  }
  EXPECT_GT(files, 0);
}

}  // namespace
}  // namespace tern

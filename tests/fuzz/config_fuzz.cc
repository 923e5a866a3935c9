// Any bytes as config.json.

#include <cstdint>
#include <cstdlib>
#include <fstream>

#include "model/config.h"
#include "tests/fuzz/fuzz_folder.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const tern::FuzzFolder folder;
  std::ofstream(folder.path() + "/config.json", std::ios::binary)
      .write(reinterpret_cast<const char*>(data),
             static_cast<std::streamsize>(size));
  const auto config = tern::LoadConfig(folder.path());
  if (!config.ok()) return 0;
  // What a model is laid out by.
  if (config->hidden_size <= 0 || config->layers <= 0 ||
      config->max_positions <= 0 || config->outputs() <= 0) {
    std::abort();
  }
  return 0;
}

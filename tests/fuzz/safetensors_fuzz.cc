// Any bytes as a safetensors file: opened, checked, and every tensor read.

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <string>

#include "absl/strings/str_cat.h"
#include "model/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const int file = memfd_create("fuzz", 0);
  static const std::string path = absl::StrCat("/proc/self/fd/", file);
  if (ftruncate(file, 0) != 0 ||
      pwrite(file, data, size, 0) != static_cast<ssize_t>(size)) {
    std::abort();
  }
  const auto opened = tern::Safetensors::Open(path);
  if (!opened.ok()) return 0;
  for (const auto& [name, tensor] : (*opened)->tensors()) {
    (void)(*opened)->ReadFloats(name, tensor.shape);
    (void)(*opened)->ReadBytes(name, tensor.shape);
  }
  (void)(*opened)->VerifyChecksums();
  return 0;
}

#include "train/tensor_memory.h"

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>

#include "gperftools/malloc_extension.h"

namespace tern {
namespace {

constexpr size_t kHugePageBytes = 2 << 20;
// Of addresses: what is never touched takes no memory.
constexpr size_t kPieceBytes = size_t{1} << 30;

size_t RoundUp(size_t n, size_t unit) { return (n + unit - 1) / unit * unit; }

class HugePages : public SysAllocator {
 public:
  void* Alloc(size_t size, size_t* actual_size, size_t alignment) override {
    const size_t bytes = RoundUp(size, kPieceBytes);
    const size_t step = alignment > kHugePageBytes ? alignment : kHugePageBytes;
    void* const mapped = mmap(nullptr, bytes + step, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                              /*fd=*/-1, /*offset=*/0);
    if (mapped == MAP_FAILED) return nullptr;
    void* const begin = reinterpret_cast<void*>(
        RoundUp(reinterpret_cast<uintptr_t>(mapped), step));
    madvise(begin, bytes, MADV_HUGEPAGE);  // where there are any
    if (actual_size != nullptr) *actual_size = bytes;
    return begin;
  }
};

}  // namespace

void SetUpTensorMemory() {
  static HugePages& huge_pages = *new HugePages;
  MallocExtension::instance()->SetSystemAllocator(&huge_pages);
  MallocExtension::instance()->SetMemoryReleaseRate(0);
}

}  // namespace tern

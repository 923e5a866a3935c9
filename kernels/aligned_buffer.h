// Memory for vector kernels: 64-byte aligned, zero-filled, freed with its
// owner.
//
// Thread-compatible.

#ifndef TERN_KERNELS_ALIGNED_BUFFER_H_
#define TERN_KERNELS_ALIGNED_BUFFER_H_

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

namespace tern {

inline constexpr size_t kBufferAlignment = 64;

template <typename T>
class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  explicit AlignedBuffer(size_t size) : size_(size) {
    if (size == 0) return;
    const size_t bytes = (size * sizeof(T) + kBufferAlignment - 1) /
                         kBufferAlignment * kBufferAlignment;
    data_.reset(static_cast<T*>(std::aligned_alloc(kBufferAlignment, bytes)));
    if (data_ == nullptr) throw std::bad_alloc();
    std::memset(data_.get(), 0, bytes);
  }

  T* data() { return data_.get(); }
  const T* data() const { return data_.get(); }
  size_t size() const { return size_; }
  T& operator[](size_t i) { return data_.get()[i]; }
  const T& operator[](size_t i) const { return data_.get()[i]; }

 private:
  struct Free {
    void operator()(T* p) const { std::free(p); }
  };
  std::unique_ptr<T[], Free> data_;
  size_t size_ = 0;
};

}  // namespace tern

#endif  // TERN_KERNELS_ALIGNED_BUFFER_H_

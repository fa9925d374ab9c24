// Buffer<T>: std::vector that leaves new elements uninitialised on resize(), so that a column can
// be sized once and then filled.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

namespace wrackline {

// From this size on memory is taken in huge pages where the system has them: a copy of 70 MB of state into fresh
// memory spends more time on page faults than on copying.
inline constexpr size_t kHugeBytes = size_t{4} << 20;
void* allocate_huge(size_t bytes);  // throws std::bad_alloc; freed with std::free

template <typename T>
struct UninitialisedAllocator : std::allocator<T> {
  static_assert(std::is_trivially_copyable_v<T>);
  template <typename U>
  struct rebind {
    using other = UninitialisedAllocator<U>;
  };
  using std::allocator<T>::allocator;
  T* allocate(size_t count) {
    return count * sizeof(T) >= kHugeBytes ? static_cast<T*>(allocate_huge(count * sizeof(T)))
                                           : std::allocator<T>::allocate(count);
  }
  void deallocate(T* place, size_t count) {
    if (count * sizeof(T) >= kHugeBytes)
      std::free(place);
    else
      std::allocator<T>::deallocate(place, count);
  }
  template <typename U>
  void construct(U* place) noexcept {
    ::new (static_cast<void*>(place)) U;
  }
  template <typename U, typename From>
  void construct(U* place, From&& value) {
    ::new (static_cast<void*>(place)) U(static_cast<U>(std::forward<From>(value)));
  }
};

template <typename T>
using Buffer = std::vector<T, UninitialisedAllocator<T>>;

using Bytes = Buffer<uint8_t>;

}  // namespace wrackline

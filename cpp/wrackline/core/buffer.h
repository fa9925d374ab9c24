// Buffer<T>: std::vector that leaves new elements uninitialised on resize(), so that a column can
// be sized once and then filled.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

namespace wrackline {

template <typename T>
struct UninitialisedAllocator : std::allocator<T> {
  static_assert(std::is_trivially_copyable_v<T>);
  template <typename U>
  struct rebind {
    using other = UninitialisedAllocator<U>;
  };
  using std::allocator<T>::allocator;
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

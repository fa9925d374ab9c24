// Ring: the rows of one key that may still be in a window, in the order of time.
//
// Time is cut into blocks as long as the window, [n * size, (n + 1) * size). A window reaches over at most two of them:
// the rows of the block before are kept as the aggregate of each and all behind it in its block, those of the current
// block one by one and added up. So a row costs three additions, none is ever subtracted, and their order is a function
// of the rows alone (van Herk; two stacks that are turned over at fixed times).
//
// Slots are a time (8 bytes) and a payload. Plain data, which lies in the cells of a KeyTable; who drops the cells
// calls free_slots().
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>

#include "wrackline/core/types.h"
#include "wrackline/window/cells.h"

namespace wrackline {

struct Ring {
  uint8_t* slots = nullptr;
  uint32_t capacity = 0;  // a power of two, or 0
  uint32_t head = 0;
  uint32_t size = 0;
  uint32_t before = 0;  // of them in the block before `block`: the first ones
  int64_t block = 0;    // of the last row

  uint8_t* slot(uint32_t i, size_t stride) const { return slots + size_t{(head + i) & (capacity - 1)} * stride; }
  Millis time(uint32_t i, size_t stride) const { return load_cell<Millis>(slot(i, stride)); }
  uint8_t* payload(uint32_t i, size_t stride) const { return slot(i, stride) + sizeof(Millis); }

  // Returns where its payload goes.
  uint8_t* append(Millis time, size_t stride) {
    if (size == capacity) grow(stride);
    uint8_t* place = slot(size++, stride);
    store_cell(place, time);
    return place + sizeof(Millis);
  }
  void drop_first(uint32_t count) {
    head = capacity == 0 ? 0 : (head + count) & (capacity - 1);
    size -= count;
    before -= before < count ? before : count;
  }
  void free_slots() {
    std::free(slots);
    *this = {};
  }

 private:
  static constexpr uint32_t kSmallest = 4;

  void grow(size_t stride) {
    const uint32_t larger = capacity == 0 ? kSmallest : capacity * 2;
    auto* to = static_cast<uint8_t*>(std::malloc(larger * stride));
    if (to == nullptr) throw std::bad_alloc();
    if (size > 0) {
      const uint32_t first = size < capacity - head ? size : capacity - head;
      std::memcpy(to, slots + head * stride, first * stride);
      std::memcpy(to + first * stride, slots, (size - first) * stride);
    }
    std::free(slots);
    slots = to;
    capacity = larger;
    head = 0;
  }
};

}  // namespace wrackline

// Typed access to cells, which have no alignment.
#pragma once

#include <cstdint>
#include <cstring>

namespace wrackline {

template <typename T>
T load_cell(const uint8_t* place) {
  T value;
  std::memcpy(&value, place, sizeof(T));
  return value;
}

template <typename T>
void store_cell(uint8_t* place, T value) {
  std::memcpy(place, &value, sizeof(T));
}

}  // namespace wrackline

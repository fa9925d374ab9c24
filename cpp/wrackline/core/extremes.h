// The least and the most of many numbers.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace wrackline {

// REQUIRES: count > 0. Four at a time: each comparison of one chain would wait for the one before it.
template <typename Pick>
int64_t pick_of(const int64_t* values, size_t count, Pick pick) {
  std::array<int64_t, 4> picked;
  picked.fill(values[0]);
  size_t i = 0;
  for (; i + picked.size() <= count; i += picked.size()) {
    for (size_t lane = 0; lane < picked.size(); ++lane) picked[lane] = pick(picked[lane], values[i + lane]);
  }
  for (; i < count; ++i) picked[0] = pick(picked[0], values[i]);
  return pick(pick(picked[0], picked[1]), pick(picked[2], picked[3]));
}

inline int64_t least_of(const int64_t* values, size_t count) {
  return pick_of(values, count, [](int64_t a, int64_t b) { return std::min(a, b); });
}

inline int64_t most_of(const int64_t* values, size_t count) {
  return pick_of(values, count, [](int64_t a, int64_t b) { return std::max(a, b); });
}

}  // namespace wrackline

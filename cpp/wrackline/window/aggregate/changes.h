// How one value changes an entry: the same for a row and for another entry.
#pragma once

#include <cmath>
#include <string_view>
#include <utility>

#include "wrackline/window/aggregate/part.h"
#include "wrackline/window/cells.h"

namespace wrackline {

template <typename T, typename F>
void change_cell(uint8_t* cell, F f) {
  store_cell(cell, f(load_cell<T>(cell)));
}

// The smaller and the larger of two; `held` is NaN if there was nothing else. Without jumps: of ten values of a key
// three are a new lowest.
inline double lower(double held, double value) { return value < held || std::isnan(held) ? value : held; }
inline double higher(double held, double value) { return value > held || std::isnan(held) ? value : held; }

// Whether an entry that holds `held` is to take `other`: it has the better `by`, or an equal one earlier.
inline bool chooses(const Part& part, const ArgCell& held, const ArgCell& other, std::string_view held_by,
                    std::string_view other_by) {
  if (other.mark == ArgCell::kNone || held.mark == ArgCell::kNone) return other.mark != ArgCell::kNone;
  const auto order = std::pair(held.by, held_by) <=> std::pair(other.by, other_by);
  if (order == 0) return other.time < held.time;
  return part.kind == PartKind::kArgMin ? order > 0 : order < 0;
}

}  // namespace wrackline

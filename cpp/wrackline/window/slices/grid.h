// Grid: which slices and windows there are. Slices are [start, start + slice()) and lie side by side; a
// window is made of whole slices, and named by its end.
#pragma once

#include <algorithm>
#include <numeric>

#include "wrackline/window/window.h"

namespace wrackline {

class Grid {
 public:
  explicit Grid(const FixedWindow& window)
      : size_(window.size), slide_(window.slide), offset_(window.offset), slice_(std::gcd(window.size, window.slide)) {}

  Millis size() const { return size_; }
  Millis slide() const { return slide_; }
  Millis slice() const { return slice_; }

  Millis slice_of(Millis t) const { return floor_div(t - offset_, slice_) * slice_ + offset_; }
  // The ends of the first and the last window that slice `start` is part of.
  Millis first_end(Millis start) const { return next_end(start + slice_ - 1); }
  Millis last_end(Millis start) const { return floor_div(start - offset_, slide_) * slide_ + offset_ + size_; }
  // The first end after `t`, the last at or before it. REQUIRES: t is finite.
  Millis next_end(Millis t) const { return previous_end(t) + slide_; }
  Millis previous_end(Millis t) const { return floor_div(t - offset_ - size_, slide_) * slide_ + offset_ + size_; }
  // The first end after `after` (which may be infinite) of a window with slice `start`; kPlusInfinity: none.
  Millis end_after(Millis start, Millis after) const {
    if (after == kPlusInfinity) return kPlusInfinity;
    const Millis first = first_end(start);
    const Millis end = after < first ? first : next_end(after);
    return end <= last_end(start) ? end : kPlusInfinity;
  }

 private:
  Millis size_;
  Millis slide_;
  Millis offset_;
  Millis slice_;
};

}  // namespace wrackline

// Grid: which windows and slices there are. A slice is what one record updates; a window is made of whole slices, in
// the order of their times. Both are named by their bounds. Only hopping windows have several slices; all others are
// their own one slice.
#pragma once

#include <numeric>
#include <optional>

#include "wrackline/window/result_builder.h"
#include "wrackline/window/window.h"

namespace wrackline {

// Of a window that has no bounds: counts and the global one.
inline constexpr Span kUnbounded{.end = kPlusInfinity, .start = kMinusInfinity};

// After every window that ends at `t` or before.
constexpr Span after_ends(Millis t) { return {.end = t, .start = kPlusInfinity}; }

// What names a slice: its bounds, and after which end its records count. They count in all windows that have the slice,
// but for those of a task with several inputs that were lost to a record, judged by its own, before they fired.
struct SliceId {
  Span span;
  Millis after = kMinusInfinity;
  friend auto operator<=>(const SliceId&, const SliceId&) = default;
};

class Grid {
 public:
  explicit Grid(const WindowKind& kind) {
    if (const auto* fixed = std::get_if<FixedWindow>(&kind)) {
      size_ = fixed->size;
      slide_ = fixed->slide;
      offset_ = fixed->offset;
      slice_ = std::gcd(size_, slide_);
    }
  }

  // A slice is part of several windows.
  bool overlaps() const { return slide_ != size_; }
  Millis slide() const { return slide_; }

  // Of fixed windows.
  Span slice_of(Millis t) const {
    const Millis start = floor_div(t - offset_, slice_) * slice_ + offset_;
    return {.end = start + slice_, .start = start};
  }
  Span first_window(Span slice) const { return overlaps() ? ending_at(next_end(slice.end - 1)) : slice; }
  Span last_window(Span slice) const {
    return overlaps() ? ending_at(floor_div(slice.start - offset_, slide_) * slide_ + offset_ + size_) : slice;
  }
  // The first window of `slice` that comes after `after` in (end, start) order.
  std::optional<Span> window_after(Span slice, Span after) const {
    const Span first = first_window(slice);
    if (first > after) return first;
    if (!overlaps() || after.end == kPlusInfinity) return std::nullopt;
    const Span next = ending_at(next_end(after.end));
    return next <= last_window(slice) ? std::optional(next) : std::nullopt;
  }
  std::optional<Span> window_after(const SliceId& slice, Span after) const {
    return window_after(slice.span, std::max(after, after_ends(slice.after)));
  }
  bool holds(Span window, Span slice) const { return overlaps() ? slice.end <= window.end : slice == window; }
  // The last window of `slice` that ends at `t` or before. REQUIRES: there is one.
  Span last_window_until(Span slice, Millis t) const {
    if (!overlaps()) return slice;
    const Span last = last_window(slice);
    return t >= last.end ? last : ending_at(previous_end(t));
  }
  // The window after `window`. Of windows that do not overlap: one that no slice is part of.
  Span next(Span window) const {
    return overlaps() ? Span{.end = window.end + slide_, .start = window.start + slide_} : kUnbounded;
  }
  // Slices whose first window ends at `t` or before end here or before.
  Span after_slices_until(Millis t) const { return {.end = overlaps() ? plus(t, slice_) : t, .start = kPlusInfinity}; }

 private:
  Span ending_at(Millis end) const { return {.end = end, .start = end - size_}; }
  // The first end after `t`, the last at or before it. REQUIRES: t is finite.
  Millis next_end(Millis t) const { return previous_end(t) + slide_; }
  Millis previous_end(Millis t) const { return floor_div(t - offset_ - size_, slide_) * slide_ + offset_ + size_; }

  Millis size_ = 0;
  Millis slide_ = 0;
  Millis offset_ = 0;
  Millis slice_ = 0;
};

}  // namespace wrackline

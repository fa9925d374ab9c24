// CalendarSlices: the window of each row of calendar windows, in one zone or in each row's own.
//
// Belongs to one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "wrackline/core/batch.h"
#include "wrackline/core/status.h"
#include "wrackline/time/calendar.h"
#include "wrackline/time/zones.h"
#include "wrackline/window/result_builder.h"
#include "wrackline/window/window.h"

namespace wrackline {

class CalendarSlices {
 public:
  static constexpr int32_t kNoZone = -1;

  // REQUIRES: check() was ok.
  CalendarSlices(const CalendarWindow& window, const Schema& input);
  // Unknown zones and columns, with the nearest spelling.
  static Status check(const CalendarWindow& window, const Schema& input);

  // Finds the zones of all rows.
  void look_at(const Batch& batch);
  // The place of each row's zone among those that have been seen, or kNoZone; null: all rows have place 0.
  const int32_t* places() const { return column_ < 0 ? nullptr : places_.data(); }
  size_t place_count() const { return edges_.size(); }
  // REQUIRES: the place of a zone.
  Span slice_of(int32_t place, Millis t) {
    const CalendarSpan span = edges_[static_cast<size_t>(place)].span_of(t);
    return {.end = span.end, .start = span.start};
  }

 private:
  int32_t new_place(int zone);

  CalendarRule rule_;
  int column_ = -1;                     // of the rows' zones; -1: one zone for all
  std::vector<int32_t> place_of_zone_;  // kNoZone: not seen yet
  std::vector<CalendarEdges> edges_;
  Buffer<int32_t> places_;
};

}  // namespace wrackline

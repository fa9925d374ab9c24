// Calendar windows: hours, days, weeks, months, quarters and years as a zone's clock shows them (semantics.md 5).
//
// They lie side by side. A window starts at an edge: the first instant at which the clock shows the beginning of a unit
// or later; units that begin at one instant are one window. Hours are different: each instant at which the clock shows
// a full hour is an edge, so that the repeated hour of autumn is a window of its own.
#pragma once

#include <vector>

#include "wrackline/core/types.h"
#include "wrackline/time/zone.h"

namespace wrackline {

enum class CalendarUnit : uint8_t { kHour, kDay, kWeek, kMonth, kQuarter, kYear };

struct CalendarRule {
  CalendarUnit unit = CalendarUnit::kDay;
  Millis starts_at = 0;  // local time of day at which a unit begins, < 24 h; not for hours
  int week_starts = 0;   // 0: Monday
  friend bool operator==(const CalendarRule&, const CalendarRule&) = default;
};

struct CalendarSpan {
  Millis start = 0;
  Millis end = 0;  // excluded
  bool contains(Millis t) const { return start <= t && t < end; }
  friend bool operator==(const CalendarSpan&, const CalendarSpan&) = default;
};

// The windows of one rule in one zone. Remembers what it was asked last: one thread at a time. Its size does not grow.
class CalendarEdges {
 public:
  // `zone` must remain live: zones.h's do.
  CalendarEdges(const Zone& zone, const CalendarRule& rule);

  // The window that holds t: edges are instants, bounds may lie outside the years 0001 to 9999. A compare where t is in
  // the window asked for last, some ns where it is in one of the last hundreds, else about 100 ns.
  // REQUIRES: in_event_time_range(t), or the bound of a window of such a time.
  CalendarSpan span_of(Millis t) {
    if (last_.contains(t)) return last_;
    return find(t);
  }

  // All edges e with from <= e <= to, ascending.
  std::vector<Millis> edges(Millis from, Millis to);

  const CalendarRule& rule() const { return rule_; }

 private:
  CalendarSpan find(Millis t);
  CalendarSpan compute(Millis t) const;
  CalendarSpan hour_of(Millis t) const;

  const Zone* zone_;
  CalendarRule rule_;
  int shift_;                        // t >> shift_: a stretch that is shorter than a window
  CalendarSpan last_;                // empty at first
  std::vector<CalendarSpan> spans_;  // by the low bits of t >> shift_, the window asked for last
};

}  // namespace wrackline

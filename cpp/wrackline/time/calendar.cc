#include "wrackline/time/calendar.h"

#include <chrono>
#include <cstddef>

#include "wrackline/core/status.h"

namespace wrackline {
namespace {

constexpr Millis kHour = 3'600'000;
constexpr Millis kDay = 24 * kHour;
constexpr size_t kRemembered = 256;  // windows, 4 KiB

// Of a stretch that is shorter than the unit's shortest one, as a power of two of milliseconds.
int shift_of(CalendarUnit unit) {
  switch (unit) {
    case CalendarUnit::kHour: return 21;
    case CalendarUnit::kDay: return 26;
    case CalendarUnit::kWeek: return 29;
    case CalendarUnit::kMonth: return 31;
    case CalendarUnit::kQuarter: return 32;
    case CalendarUnit::kYear: break;
  }
  return 34;
}

int months_of(CalendarUnit unit) { return unit == CalendarUnit::kMonth ? 1 : unit == CalendarUnit::kQuarter ? 3 : 12; }

// Units that begin at or before a local time, counted from the one at 1970-01-01; the week from the first one in 1970.
int64_t unit_of(const CalendarRule& rule, Millis local) {
  using namespace std::chrono;
  const int64_t day = floor_div(local - rule.starts_at, kDay);
  switch (rule.unit) {
    case CalendarUnit::kHour: return floor_div(local, kHour);
    case CalendarUnit::kDay: return day;
    case CalendarUnit::kWeek: return floor_div(day + 3 - rule.week_starts, 7);  // 1970-01-01 was a Thursday
    default: break;
  }
  const year_month_day date{sys_days(days(day))};
  const int64_t month = (static_cast<int>(date.year()) - 1970) * 12 + static_cast<int>(unsigned{date.month()}) - 1;
  return floor_div(month, months_of(rule.unit));
}

// The local time at which a unit begins.
Millis beginning_of(const CalendarRule& rule, int64_t unit) {
  using namespace std::chrono;
  switch (rule.unit) {
    case CalendarUnit::kHour: return unit * kHour;
    case CalendarUnit::kDay: return unit * kDay + rule.starts_at;
    case CalendarUnit::kWeek: return (unit * 7 - 3 + rule.week_starts) * kDay + rule.starts_at;
    default: break;
  }
  const int64_t month = unit * months_of(rule.unit);
  const year y(static_cast<int>(1970 + floor_div(month, 12)));
  const std::chrono::month m(static_cast<unsigned>(month - floor_div(month, 12) * 12 + 1));
  return sys_days(y / m / 1).time_since_epoch().count() * kDay + rule.starts_at;
}

// The last instant <= t, or the first > t, within a stretch at which the clock shows a full hour; it may lie outside.
Millis full_hour_until(const Zone::Stretch& stretch, Millis t) {
  return floor_div(t + stretch.offset, kHour) * kHour - stretch.offset;
}
Millis full_hour_after(const Zone::Stretch& stretch, Millis t) { return full_hour_until(stretch, t) + kHour; }

}  // namespace

CalendarEdges::CalendarEdges(const Zone& zone, const CalendarRule& rule)
    : zone_(&zone), rule_(rule), shift_(shift_of(rule.unit)) {
  WL_CHECK(0 <= rule.starts_at && rule.starts_at < kDay && 0 <= rule.week_starts && rule.week_starts < 7);
}

CalendarSpan CalendarEdges::find(Millis t) {
  if (spans_.empty()) spans_.resize(kRemembered);
  CalendarSpan& remembered = spans_[static_cast<size_t>(t >> shift_) % kRemembered];
  if (!remembered.contains(t)) remembered = compute(t);
  return last_ = remembered;
}

// The last unit that has begun. When several begin at one instant it is the last of them: no window is empty.
CalendarSpan CalendarEdges::compute(Millis t) const {
  if (rule_.unit == CalendarUnit::kHour) return hour_of(t);
  const int64_t unit = unit_of(rule_, zone_->latest_shown(t));
  return {zone_->first_showing(beginning_of(rule_, unit)), zone_->first_showing(beginning_of(rule_, unit + 1))};
}

CalendarSpan CalendarEdges::hour_of(Millis t) const {
  const Zone::Stretch here = zone_->stretch_at(t);
  CalendarSpan hour{full_hour_until(here, t), full_hour_after(here, t)};
  for (Zone::Stretch before = here; hour.start < before.start;) {
    const Millis end = before.start;
    before = zone_->stretch_at(end - 1);
    hour.start = full_hour_until(before, end - 1);
  }
  for (Zone::Stretch after = here; hour.end >= after.end;) {
    const Millis start = after.end;
    after = zone_->stretch_at(start);
    hour.end = full_hour_after(after, start - 1);
  }
  return hour;
}

std::vector<Millis> CalendarEdges::edges(Millis from, Millis to) {
  std::vector<Millis> found;
  if (from > to) return found;
  CalendarSpan span = span_of(from);
  if (span.start == from) found.push_back(from);
  for (; span.end <= to; span = span_of(span.end)) found.push_back(span.end);
  return found;
}

}  // namespace wrackline

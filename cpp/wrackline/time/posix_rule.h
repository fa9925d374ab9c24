// The rule at the end of a TZif file, for all times after its list: "CET-1CEST,M3.5.0,M10.5.0/3" (RFC 9636, 3.3.1).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "wrackline/core/types.h"

namespace wrackline {

// A day of the year and a time of that day on the clock, which may lie up to a week before or after it.
struct YearlyTime {
  enum class Day : uint8_t { kWeekday, kNoLeapDay, kLeapDay };  // Mm.w.d, Jn, n

  Day kind = Day::kWeekday;
  int month = 0, week = 0, weekday = 0;  // week 5: the last; weekday 0: Sunday
  int day = 0;                           // Jn: 1 to 365, February 29 never counted; n: 0 to 365
  Millis time = 7'200'000;

  // In milliseconds since 1970 on the clock.
  Millis in(int year) const;
};

struct PosixRule {
  Millis standard = 0;  // offset from UTC
  struct Summer {
    Millis offset = 0;
    YearlyTime begins;  // on the clock of standard time
    YearlyTime ends;    // on the clock of summer time
  };
  std::optional<Summer> summer;
};

// Nullopt: no such rule.
std::optional<PosixRule> parse_posix_rule(std::string_view text);

}  // namespace wrackline

// Timestamps: numbers in a unit, ISO 8601 strings, and back (semantics.md 1).
//
// The calendar is the proleptic Gregorian one. Every accepted time lies in the years 0001 to 9999,
// UTC; fractions of a millisecond are floored, also before 1970.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "wrackline/core/buffer.h"
#include "wrackline/core/status.h"
#include "wrackline/core/types.h"

namespace wrackline {

enum class TimeUnit : uint8_t { kSeconds, kMillis, kMicros, kNanos, kAuto };

std::string_view unit_name(TimeUnit unit);  // "s", "ms", "us", "ns", "auto"
Result<TimeUnit> parse_unit(std::string_view name);

constexpr bool in_event_time_range(Millis t) { return t >= kMinEventTime && t < kEndEventTime; }

// A number of `unit` since the epoch. Nullopt: outside the years 0001 to 9999, or not finite. A double
// of seconds that is the nearest one to a whole number of milliseconds is that number.
// REQUIRES: unit is not kAuto.
std::optional<Millis> to_millis(int64_t value, TimeUnit unit);
std::optional<Millis> to_millis(double value, TimeUnit unit);

// YYYY-MM-DD, then nothing (midnight) or 'T' or a space and hh:mm[:ss[.f]] with one to nine digits f,
// then nothing (UTC), 'Z', +hh:mm, +hhmm or +hh (or with '-'). Nullopt: anything else, a day that
// its month does not have, second 60, hour 24, or outside the years 0001 to 9999 in UTC.
std::optional<Millis> parse_iso(std::string_view text);

inline constexpr size_t kIsoSize = 24;
// Writes 2024-02-29T12:00:00.000Z, kIsoSize characters. REQUIRES: in_event_time_range(t).
void write_iso(Millis t, char* to);
std::string format_iso(Millis t);  // also "-inf" and "+inf"; a time out of range as its number

// How a JSON document gave the value of a timestamp column (codec -> TimeStage).
enum class TimeForm : uint8_t {
  kMillis,   // a string, parsed: the column holds milliseconds
  kInteger,  // a number: the column holds it as it was, in the job's unit
  kFloat,    // a number with a fraction or an exponent: the column holds its bits (std::bit_cast)
};

// Of one column of a batch, one per row. Empty: all rows hold milliseconds.
using TimeForms = Buffer<TimeForm>;

}  // namespace wrackline

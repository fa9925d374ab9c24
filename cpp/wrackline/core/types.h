// The few scalar types that every station shares.
#pragma once

#include <cstdint>
#include <limits>

namespace wrackline {

// Milliseconds since the Unix epoch, UTC; also durations (semantics.md, head and section 1).
using Millis = int64_t;

inline constexpr Millis kMinusInfinity = std::numeric_limits<int64_t>::min();
inline constexpr Millis kPlusInfinity = std::numeric_limits<int64_t>::max();

// Durations end here, event times lie in the years 0001 to 9999: no sum of both leaves int64.
inline constexpr Millis kMaxDuration = 1'000'000'000'000'000;
inline constexpr Millis kMinEventTime = -62'135'596'800'000;  // 0001-01-01T00:00:00Z
inline constexpr Millis kEndEventTime = 253'402'300'800'000;  // 10000-01-01T00:00:00Z, excluded

// a + b where the infinities stay what they are. REQUIRES: a finite sum fits.
constexpr Millis plus(Millis a, Millis b) { return a == kMinusInfinity || a == kPlusInfinity ? a : a + b; }

// Rounds towards minus infinity. REQUIRES: divisor > 0.
constexpr int64_t floor_div(int64_t value, int64_t divisor) {
  const int64_t quotient = value / divisor;
  return value % divisor < 0 ? quotient - 1 : quotient;
}

}  // namespace wrackline

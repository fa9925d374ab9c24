// The arithmetic of semantics.md 7: sums in twice the precision of a double, means and variances, and the order of
// values.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

namespace wrackline {

// An unevaluated sum high + low with |low| <= ulp(high) / 2; about 106 bits. Once high is infinite or
// NaN it stays what IEEE addition makes of it, and low is 0.
struct DoubleDouble {
  double high = 0;
  double low = 0;

  static DoubleDouble of(int64_t value) {
    const auto high = static_cast<double>(value);
    // high may be 2^63, which is no int64.
    return {high,
            static_cast<double>(static_cast<int64_t>(static_cast<__int128>(value) - static_cast<__int128>(high)))};
  }
  double value() const { return high + low; }
};

// Exact a + b for finite sums (Knuth).
inline DoubleDouble two_sum(double a, double b) {
  const double sum = a + b;
  const double part = sum - a;
  return {sum, (a - (sum - part)) + (b - part)};
}

// Exact a + b if |a| >= |b| or a is 0 (Dekker).
inline DoubleDouble quick_two_sum(double a, double b) {
  const double sum = a + b;
  return {sum, b - (sum - a)};
}

// `sum` unless it is infinite or NaN: then what IEEE arithmetic says, without the NaN that inf - inf
// leaves in the low part.
inline DoubleDouble guarded(DoubleDouble sum, double plain) {
  return std::fabs(sum.high) <= std::numeric_limits<double>::max() ? sum : DoubleDouble{plain, 0};
}

inline DoubleDouble add(DoubleDouble a, double b) {
  const DoubleDouble s = two_sum(a.high, b);
  return guarded(quick_two_sum(s.high, s.low + a.low), s.high);
}

inline DoubleDouble add(DoubleDouble a, DoubleDouble b) {
  const DoubleDouble s = two_sum(a.high, b.high);
  const DoubleDouble t = two_sum(a.low, b.low);
  const DoubleDouble u = quick_two_sum(s.high, s.low + t.high);
  return guarded(quick_two_sum(u.high, u.low + t.low), s.high);
}

inline DoubleDouble negate(DoubleDouble a) { return {-a.high, -a.low}; }

inline DoubleDouble multiply(DoubleDouble a, DoubleDouble b) {
  const double product = a.high * b.high;
  const double error = std::fma(a.high, b.high, -product);
  return guarded(quick_two_sum(product, error + (a.high * b.low + a.low * b.high)), product);
}

inline DoubleDouble divide(DoubleDouble a, double b) {
  const double first = a.high / b;
  const double rest = std::fma(-first, b, a.high) + a.low;
  return guarded(quick_two_sum(first, rest / b), first);
}

// Running mean and sum of squared distances from it (Welford; Chan et al. for merging).
struct Moments {
  double count = 0;
  DoubleDouble mean;
  DoubleDouble squares;

  void include(DoubleDouble value) {
    count += 1;
    const DoubleDouble before = add(value, negate(mean));
    mean = add(mean, divide(before, count));
    squares = add(squares, multiply(before, add(value, negate(mean))));
  }
  void merge(const Moments& other) {
    if (other.count == 0) return;
    if (count == 0) {
      *this = other;
      return;
    }
    const double total = count + other.count;
    const DoubleDouble delta = add(other.mean, negate(mean));
    const DoubleDouble weighted = multiply(delta, {other.count, 0});
    const DoubleDouble shift = divide(weighted, total);
    squares = add(squares, add(other.squares, multiply(delta, multiply(shift, {count, 0}))));
    mean = add(mean, shift);
    count = total;
  }
  // ddof = 1. REQUIRES: count >= 2.
  double variance() const { return divide(squares, count - 1).value(); }
};

inline double mean_of(__int128 sum, int64_t count) {
  const __int128 quotient = sum / count;
  const auto rest = static_cast<double>(static_cast<int64_t>(sum % count));
  return static_cast<double>(quotient) + rest / static_cast<double>(count);
}

inline double mean_of(DoubleDouble sum, int64_t count) { return divide(sum, static_cast<double>(count)).value(); }

// The bits of a double as an integer of the same order. Any NaN is one, above +infinity; -0.0 is 0.0.
inline int64_t ordered_word(double value) {
  if (std::isnan(value)) value = std::numeric_limits<double>::quiet_NaN();
  if (value == 0) value = 0;
  const auto bits = std::bit_cast<int64_t>(value);
  return bits < 0 ? bits ^ std::numeric_limits<int64_t>::max() : bits;
}

inline double of_ordered_word(int64_t word) {
  return std::bit_cast<double>(word < 0 ? word ^ std::numeric_limits<int64_t>::max() : word);
}

inline constexpr int64_t kOrderedNan = 0x7ff8000000000000;

}  // namespace wrackline

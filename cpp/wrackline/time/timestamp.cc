#include "wrackline/time/timestamp.h"

#include <array>
#include <cmath>

namespace wrackline {
namespace {

constexpr Millis kDay = 86'400'000;

// Days since 1970-01-01 of a date of the proleptic Gregorian calendar. Years are counted from March,
// so that the leap day is the last of its year; 400 of them are always 146,097 days.
constexpr int64_t days_from_date(int year, int month, int day) {
  const int64_t y = year - (month <= 2 ? 1 : 0);
  const int64_t era = floor_div(y, 400);
  const int64_t year_of_era = y - era * 400;
  const int64_t month_from_march = (month + 9) % 12;
  const int64_t day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
  const int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return era * 146'097 + day_of_era - 719'468;  // 719,468: from 0000-03-01 to the epoch
}

static_assert(days_from_date(1970, 1, 1) == 0);
static_assert(days_from_date(1, 1, 1) * kDay == kMinEventTime);
static_assert(days_from_date(10'000, 1, 1) * kDay == kEndEventTime);

struct Date {
  int year;
  int month;
  int day;
};

constexpr Date date_from_days(int64_t days) {
  const int64_t shifted = days + 719'468;
  const int64_t era = floor_div(shifted, 146'097);
  const int64_t day_of_era = shifted - era * 146'097;
  // Years before this day in its era: take out one day per leap year, then divide.
  const int64_t year_of_era = (day_of_era - day_of_era / 1'460 + day_of_era / 36'524 - day_of_era / 146'096) / 365;
  const int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const int64_t month_from_march = (5 * day_of_year + 2) / 153;
  const int month = static_cast<int>(month_from_march < 10 ? month_from_march + 3 : month_from_march - 9);
  return {static_cast<int>(year_of_era + era * 400) + (month <= 2 ? 1 : 0), month,
          static_cast<int>(day_of_year - (153 * month_from_march + 2) / 5 + 1)};
}

constexpr bool is_leap(int year) { return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0); }

constexpr std::array<int8_t, 13> kDaysOfMonth = {0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

// Digits of an ISO string. A wrong character makes ok() false; values are then meaningless.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : at_(text.data()), end_(text.data() + text.size()) {}
  bool ok() const { return ok_; }
  bool done() const { return at_ == end_; }
  char peek() const { return done() ? '\0' : *at_; }
  void skip() { ++at_; }
  void expect(char c) {
    if (peek() == c)
      ++at_;
    else
      ok_ = false;
  }
  bool at_digit() const { return static_cast<unsigned char>(peek() - '0') < 10; }
  int two_digits() {
    if (end_ - at_ < 2) {
      ok_ = false;
      return 0;
    }
    const unsigned tens = static_cast<unsigned char>(at_[0] - '0');
    const unsigned ones = static_cast<unsigned char>(at_[1] - '0');
    ok_ = ok_ && tens < 10 && ones < 10;
    at_ += 2;
    return static_cast<int>(tens * 10 + ones);
  }

 private:
  const char* at_;
  const char* end_;
  bool ok_ = true;
};

void write_two(int value, char* to) {
  to[0] = static_cast<char>('0' + value / 10);
  to[1] = static_cast<char>('0' + value % 10);
}

}  // namespace

std::string_view unit_name(TimeUnit unit) {
  switch (unit) {
    case TimeUnit::kSeconds: return "s";
    case TimeUnit::kMillis: return "ms";
    case TimeUnit::kMicros: return "us";
    case TimeUnit::kNanos: return "ns";
    case TimeUnit::kAuto: return "auto";
  }
  return "unknown";
}

Result<TimeUnit> parse_unit(std::string_view name) {
  for (const TimeUnit unit :
       {TimeUnit::kSeconds, TimeUnit::kMillis, TimeUnit::kMicros, TimeUnit::kNanos, TimeUnit::kAuto}) {
    if (unit_name(unit) == name) return unit;
  }
  return Status::invalid("unknown time unit \"" + std::string(name.substr(0, 40)) +
                         "\": units are \"s\", \"ms\", \"us\", \"ns\" and \"auto\"");
}

std::optional<Millis> to_millis(int64_t value, TimeUnit unit) {
  switch (unit) {
    case TimeUnit::kSeconds:
      if (value < kMinEventTime / 1'000 || value >= kEndEventTime / 1'000) return std::nullopt;
      return value * 1'000;
    case TimeUnit::kMillis: break;
    case TimeUnit::kMicros: value = floor_div(value, 1'000); break;
    case TimeUnit::kNanos: value = floor_div(value, 1'000'000); break;
    case TimeUnit::kAuto: return std::nullopt;
  }
  if (!in_event_time_range(value)) return std::nullopt;
  return value;
}

std::optional<Millis> to_millis(double value, TimeUnit unit) {
  constexpr double kInt64End = 9'223'372'036'854'775'808.0;
  if (unit == TimeUnit::kAuto) return std::nullopt;
  if (unit == TimeUnit::kSeconds) {
    // 0.123 is a little less than 123 ms as a double: a value that is the nearest one to a whole number
    // of milliseconds means that number.
    const double scaled = value * 1e3;
    const double nearest = std::round(scaled);
    value = nearest / 1e3 == value ? nearest : std::floor(scaled);
  } else if (value >= -kInt64End && value < kInt64End) {
    return to_millis(static_cast<int64_t>(std::floor(value)), unit);
  } else {
    value /= unit == TimeUnit::kMillis ? 1 : unit == TimeUnit::kMicros ? 1e3 : 1e6;
    value = std::floor(value);
  }
  // Also false for NaN.
  if (!(value >= static_cast<double>(kMinEventTime) && value < static_cast<double>(kEndEventTime))) return std::nullopt;
  return static_cast<Millis>(value);
}

std::optional<Millis> parse_iso(std::string_view text) {
  Scanner in(text);
  const int century = in.two_digits();
  const int year = century * 100 + in.two_digits();
  in.expect('-');
  const int month = in.two_digits();
  in.expect('-');
  const int day = in.two_digits();
  if (!in.ok() || year == 0 || month < 1 || month > 12 || day < 1) return std::nullopt;
  if (day > kDaysOfMonth[static_cast<size_t>(month)] && !(month == 2 && day == 29 && is_leap(year)))
    return std::nullopt;
  Millis t = days_from_date(year, month, day) * kDay;
  if (in.done()) return t;

  const char separator = in.peek();
  if (separator != 'T' && separator != ' ' && separator != 't') return std::nullopt;
  in.skip();
  const int hour = in.two_digits();
  in.expect(':');
  const int minute = in.two_digits();
  int second = 0;
  int millis = 0;
  if (in.peek() == ':') {
    in.skip();
    second = in.two_digits();
    if (in.peek() == '.' || in.peek() == ',') {
      in.skip();
      int digits = 0;
      for (int scale = 100; in.at_digit(); ++digits, scale /= 10) {  // digits after the third are floored away
        millis += (in.peek() - '0') * scale;
        in.skip();
      }
      if (digits < 1 || digits > 9) return std::nullopt;
    }
  }
  if (!in.ok() || hour > 23 || minute > 59 || second > 59) return std::nullopt;
  t += ((hour * 60 + minute) * 60 + second) * Millis{1'000} + millis;

  if (const char zone = in.peek(); zone == 'Z' || zone == 'z') {
    in.skip();
  } else if (zone == '+' || zone == '-') {
    in.skip();
    const int offset_hour = in.two_digits();
    int offset_minute = 0;
    if (in.peek() == ':') {
      in.skip();
      offset_minute = in.two_digits();
    } else if (!in.done()) {
      offset_minute = in.two_digits();
    }
    if (!in.ok() || offset_hour > 23 || offset_minute > 59) return std::nullopt;
    const Millis offset = (offset_hour * 60 + offset_minute) * Millis{60'000};
    t += zone == '+' ? -offset : offset;
  }
  if (!in.done() || !in_event_time_range(t)) return std::nullopt;
  return t;
}

void write_iso(Millis t, char* to) {
  const int64_t days = floor_div(t, kDay);
  int rest = static_cast<int>(t - days * kDay);
  const Date date = date_from_days(days);
  write_two(date.year / 100, to);
  write_two(date.year % 100, to + 2);
  to[4] = '-';
  write_two(date.month, to + 5);
  to[7] = '-';
  write_two(date.day, to + 8);
  to[10] = 'T';
  write_two(rest / 3'600'000, to + 11);
  rest %= 3'600'000;
  to[13] = ':';
  write_two(rest / 60'000, to + 14);
  rest %= 60'000;
  to[16] = ':';
  write_two(rest / 1'000, to + 17);
  rest %= 1'000;
  to[19] = '.';
  to[20] = static_cast<char>('0' + rest / 100);
  write_two(rest % 100, to + 21);
  to[23] = 'Z';
}

std::string format_iso(Millis t) {
  if (t == kMinusInfinity) return "-inf";
  if (t == kPlusInfinity) return "+inf";
  if (!in_event_time_range(t)) return std::to_string(t);
  std::string text(kIsoSize, ' ');
  write_iso(t, text.data());
  return text;
}

}  // namespace wrackline

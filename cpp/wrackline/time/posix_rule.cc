#include "wrackline/time/posix_rule.h"

#include <cctype>
#include <chrono>

namespace wrackline {
namespace {

constexpr Millis kSecond = 1'000;
constexpr Millis kDay = 86'400'000;

bool is_letter(char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Reads from the front of a text; what does not fit leaves `ok` false for good.
class Reader {
 public:
  explicit Reader(std::string_view text) : rest_(text) {}

  bool ok() const { return ok_; }
  bool at_end() const { return rest_.empty(); }
  bool next_is(char c) const { return !rest_.empty() && rest_.front() == c; }
  bool take(char c) {
    if (!next_is(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }
  void need(char c) { ok_ = take(c) && ok_; }

  // "CET" or "<+0330>"; what it says does not matter.
  void name() {
    size_t size = 0;
    if (take('<')) {
      while (size < rest_.size() && rest_[size] != '>') ++size;
      ok_ = ok_ && size < rest_.size();
      rest_.remove_prefix(std::min(size + 1, rest_.size()));
    } else {
      while (size < rest_.size() && is_letter(rest_[size])) ++size;
      ok_ = ok_ && size > 0;
      rest_.remove_prefix(size);
    }
  }

  int number(int least, int most) {
    int value = 0;
    size_t size = 0;
    for (; size < rest_.size() && size < 4 && is_digit(rest_[size]); ++size) value = value * 10 + (rest_[size] - '0');
    ok_ = ok_ && size > 0 && least <= value && value <= most;
    rest_.remove_prefix(size);
    return value;
  }

  // [+-]hh[:mm[:ss]]
  Millis time(int most_hours) {
    const bool negative = take('-');
    if (!negative) take('+');
    Millis seconds = 3'600 * Millis{number(0, most_hours)};
    if (take(':')) seconds += 60 * Millis{number(0, 59)};
    if (take(':')) seconds += number(0, 59);
    return (negative ? -seconds : seconds) * kSecond;
  }

  // West of Greenwich is positive.
  Millis offset() { return -time(24); }

  YearlyTime yearly_time() {
    YearlyTime at;
    if (take('M')) {
      at.month = number(1, 12);
      need('.');
      at.week = number(1, 5);
      need('.');
      at.weekday = number(0, 6);
    } else if (take('J')) {
      at.kind = YearlyTime::Day::kNoLeapDay;
      at.day = number(1, 365);
    } else {
      at.kind = YearlyTime::Day::kLeapDay;
      at.day = number(0, 365);
    }
    if (take('/')) at.time = time(167);
    return at;
  }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

}  // namespace

Millis YearlyTime::in(int year) const {
  using namespace std::chrono;
  const std::chrono::year y(year);
  sys_days date = y / January / 1;
  if (kind == Day::kWeekday) {
    const auto of_month = y / std::chrono::month(static_cast<unsigned>(month));
    const std::chrono::weekday on(static_cast<unsigned>(weekday));
    date = week == 5 ? sys_days(of_month / on[last]) : sys_days(of_month / on[static_cast<unsigned>(week)]);
  } else if (kind == Day::kNoLeapDay) {
    date += days(day - 1 + (y.is_leap() && day >= 60 ? 1 : 0));
  } else {
    date += days(day);
  }
  return date.time_since_epoch().count() * kDay + time;
}

std::optional<PosixRule> parse_posix_rule(std::string_view text) {
  Reader reader(text);
  PosixRule rule;
  reader.name();
  rule.standard = reader.offset();
  if (reader.ok() && !reader.at_end()) {
    PosixRule::Summer summer;
    reader.name();
    summer.offset = reader.next_is(',') ? rule.standard + 3'600 * kSecond : reader.offset();
    reader.need(',');
    summer.begins = reader.yearly_time();
    reader.need(',');
    summer.ends = reader.yearly_time();
    rule.summer = summer;
  }
  if (!reader.ok() || !reader.at_end()) return std::nullopt;
  return rule;
}

}  // namespace wrackline

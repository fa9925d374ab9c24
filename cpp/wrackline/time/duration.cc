#include "wrackline/time/duration.h"

#include <array>
#include <charconv>

namespace wrackline {
namespace {

struct Unit {
  std::string_view name;
  Millis length;
};
constexpr std::array<Unit, 5> kUnits = {{{"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}, {"ms", 1}}};

bool is_digit(char c) { return c >= '0' && c <= '9'; }

Status wrong(std::string_view text, std::string_view why) {
  std::string message = "\"";
  message.append(text.substr(0, 40)).append("\" is no duration: ").append(why);
  return Status::invalid(std::move(message));
}

}  // namespace

Result<Millis> parse_duration(std::string_view text) {
  std::string_view rest = text;
  const bool negative = rest.starts_with('-');
  if (negative) rest.remove_prefix(1);
  if (rest.empty()) return wrong(text, "it is empty; write for example \"5m\" or \"1h30m\"");
  Millis total = 0;
  size_t next_unit = 0;  // units go from the largest to the smallest
  while (!rest.empty()) {
    size_t digits = 0;
    while (digits < rest.size() && is_digit(rest[digits])) ++digits;
    size_t word = digits;
    while (word < rest.size() && !is_digit(rest[word])) ++word;
    const std::string_view name = rest.substr(digits, word - digits);
    if (digits == 0) return wrong(text, "a whole number comes before each unit, as in \"1h30m\"");
    if (name.empty()) return wrong(text, "it has no unit (d, h, m, s, ms)");
    if (name.starts_with('.') || name.starts_with(','))
      return wrong(text, "fractions are not taken; use a smaller unit");
    if (name == "w" || name == "mo" || name == "q" || name == "y") {
      const std::string unit = name == "w" ? "week" : name == "mo" ? "month" : name == "q" ? "quarter" : "year";
      return wrong(text, std::string(name) + " is a calendar word; use calendar(\"" + unit + "\"), or days (\"7d\")");
    }
    size_t unit = 0;
    while (unit < kUnits.size() && kUnits[unit].name != name) ++unit;
    if (unit == kUnits.size()) {
      return wrong(text, "unknown unit \"" + std::string(name.substr(0, 20)) + "\" (units are d, h, m, s, ms)");
    }
    if (unit < next_unit) return wrong(text, "units go from the largest to the smallest, each once");
    next_unit = unit + 1;
    Millis count = 0;
    const auto [end, error] = std::from_chars(rest.begin(), rest.begin() + digits, count);
    if (error != std::errc() || count > (kMaxDuration - total) / kUnits[unit].length) {
      return wrong(text, "it is longer than 10^15 ms");
    }
    total += count * kUnits[unit].length;
    rest.remove_prefix(word);
  }
  return negative ? -total : total;
}

std::string format_duration(Millis duration) {
  if (duration == 0) return "0s";
  std::string text;
  if (duration < 0) {
    text = "-";
    duration = -duration;
  }
  for (const Unit& unit : kUnits) {
    if (const Millis count = duration / unit.length; count > 0) {
      text += std::to_string(count);
      text += unit.name;
      duration -= count * unit.length;
    }
  }
  return text;
}

}  // namespace wrackline

#include "wrackline/time/calendar.h"

#include <algorithm>
#include <random>
#include <string>

#include <gtest/gtest.h>

#include "wrackline/time/timestamp.h"
#include "wrackline/time/zones.h"

namespace wrackline {
namespace {

constexpr Millis kMinute = 60'000;
constexpr Millis kHour = 60 * kMinute;
constexpr Millis kDay = 24 * kHour;

Millis at(std::string_view iso) { return parse_iso(iso).value(); }

CalendarEdges made(std::string_view name, CalendarRule rule) {
  return CalendarEdges(zone(zone_index(name).value()), rule);
}

std::string text(const CalendarSpan& span) { return format_iso(span.start) + " " + format_iso(span.end); }

std::string window(std::string_view name, CalendarRule rule, std::string_view t) {
  return text(made(name, rule).span_of(at(t)));
}

const CalendarRule kHours{CalendarUnit::kHour};
const CalendarRule kDays{CalendarUnit::kDay};

// rule: 5.8
TEST(Calendar, DaysOf23And25Hours) {
  EXPECT_EQ(window("Europe/Berlin", kDays, "2026-03-29T12:00Z"), "2026-03-28T23:00:00.000Z 2026-03-29T22:00:00.000Z");
  EXPECT_EQ(window("Europe/Berlin", kDays, "2026-10-25T12:00Z"), "2026-10-24T22:00:00.000Z 2026-10-25T23:00:00.000Z");
  EXPECT_EQ(window("Europe/Berlin", kDays, "2026-10-25T23:00Z"), "2026-10-25T23:00:00.000Z 2026-10-26T23:00:00.000Z");
}

// rule: 5.6
TEST(Calendar, AMidnightThatDoesNotExistIsTheEndOfTheGap) {
  // Cairo, 2026-04-24: from 00:00 to 01:00.
  EXPECT_EQ(window("Africa/Cairo", kDays, "2026-04-24T12:00Z"), "2026-04-23T22:00:00.000Z 2026-04-24T21:00:00.000Z");
}

// rule: 5.6
TEST(Calendar, AMidnightThatComesTwiceIsTheFirst) {
  // Havana, 2022-11-06: at 01:00 the clock goes back to 00:00.
  EXPECT_EQ(window("America/Havana", kDays, "2022-11-06T05:30Z"), "2022-11-06T04:00:00.000Z 2022-11-07T05:00:00.000Z");
}

TEST(Calendar, AMidnightThatIsPutOffIsTheOneThatComes) {
  // Toronto, 1919-10-26: at 00:00 back to 23:00 of the day before.
  EXPECT_EQ(window("America/Toronto", kDays, "1919-10-26T04:30Z"), "1919-10-25T04:00:00.000Z 1919-10-26T05:00:00.000Z");
}

// rule: 5.6
TEST(Calendar, ADayThatAZoneLeftOut) {
  // Apia went from the 29th to the 31st of December 2011: 29th and 31st are windows, the 30th is none.
  CalendarEdges days = made("Pacific/Apia", kDays);
  const CalendarSpan before = days.span_of(at("2011-12-30T09:59:59.999Z"));
  EXPECT_EQ(text(before), "2011-12-29T10:00:00.000Z 2011-12-30T10:00:00.000Z");
  EXPECT_EQ(text(days.span_of(before.end)), "2011-12-30T10:00:00.000Z 2011-12-31T10:00:00.000Z");
}

// rule: 5.6
TEST(Calendar, ADayThatAZoneHadTwiceIsOneWindow) {
  // Kwajalein, 1969: from +11:00 to -12:00.
  CalendarEdges days = made("Pacific/Kwajalein", kDays);
  EXPECT_EQ(text(days.span_of(at("1969-09-30T12:00Z"))), "1969-09-29T13:00:00.000Z 1969-10-01T12:00:00.000Z");
}

// rule: 5.7
TEST(Calendar, HoursOfAutumnComeTwice) {
  CalendarEdges hours = made("Europe/Berlin", kHours);
  EXPECT_EQ(hours.edges(at("2026-10-24T23:30Z"), at("2026-10-25T02:30Z")),
            (std::vector<Millis>{at("2026-10-25T00:00Z"), at("2026-10-25T01:00Z"), at("2026-10-25T02:00Z")}));
}

// rule: 5.7
TEST(Calendar, HoursOfLordHowe) {
  // Half an hour: back from 02:00 to 01:30 (15:00 UTC), forward from 02:00 to 02:30 (15:30 UTC).
  EXPECT_EQ(window("Australia/Lord_Howe", kHours, "2026-04-04T15:00Z"),
            "2026-04-04T14:00:00.000Z 2026-04-04T15:30:00.000Z");
  EXPECT_EQ(window("Australia/Lord_Howe", kHours, "2026-10-03T15:30Z"),
            "2026-10-03T14:30:00.000Z 2026-10-03T16:00:00.000Z");
}

TEST(Calendar, HoursOfOddOffsets) {
  EXPECT_EQ(window("Asia/Kathmandu", kHours, "2026-06-01T12:00Z"), "2026-06-01T11:15:00.000Z 2026-06-01T12:15:00.000Z");
  // Local mean time of Berlin, +00:53:28.
  EXPECT_EQ(window("Europe/Berlin", kHours, "1850-06-01T12:00Z"), "1850-06-01T11:06:32.000Z 1850-06-01T12:06:32.000Z");
}

TEST(Calendar, WeeksMonthsQuartersYears) {
  EXPECT_EQ(window("Europe/Berlin", {CalendarUnit::kWeek}, "2026-03-29T22:00Z"),
            "2026-03-29T22:00:00.000Z 2026-04-05T22:00:00.000Z");
  EXPECT_EQ(window("Europe/Berlin", {CalendarUnit::kWeek}, "2026-03-29T21:59:59.999Z"),
            "2026-03-22T23:00:00.000Z 2026-03-29T22:00:00.000Z");
  EXPECT_EQ(window("UTC", {CalendarUnit::kWeek, 0, 6}, "2026-03-29"),
            "2026-03-29T00:00:00.000Z 2026-04-05T00:00:00.000Z");
  EXPECT_EQ(window("UTC", {CalendarUnit::kMonth}, "2024-02-29T23:59Z"),
            "2024-02-01T00:00:00.000Z 2024-03-01T00:00:00.000Z");
  EXPECT_EQ(window("Asia/Kolkata", {CalendarUnit::kQuarter}, "2026-03-31T18:30Z"),
            "2026-03-31T18:30:00.000Z 2026-06-30T18:30:00.000Z");
  EXPECT_EQ(window("UTC", {CalendarUnit::kQuarter}, "1969-12-31"), "1969-10-01T00:00:00.000Z 1970-01-01T00:00:00.000Z");
  EXPECT_EQ(window("America/New_York", {CalendarUnit::kYear}, "1969-12-31T23:00Z"),
            "1969-01-01T05:00:00.000Z 1970-01-01T05:00:00.000Z");
}

// rule: 5.6
TEST(Calendar, UnitsMayBeginLater) {
  const CalendarRule six{CalendarUnit::kDay, 6 * kHour};
  EXPECT_EQ(window("Europe/Berlin", six, "2026-03-29T03:59:59.999Z"),
            "2026-03-28T05:00:00.000Z 2026-03-29T04:00:00.000Z");
  // 02:30 does not exist on the 29th of March.
  const CalendarRule half{CalendarUnit::kDay, 2 * kHour + kHour / 2};
  EXPECT_EQ(window("Europe/Berlin", half, "2026-03-29T01:00Z"), "2026-03-29T01:00:00.000Z 2026-03-30T00:30:00.000Z");
  EXPECT_EQ(window("UTC", {CalendarUnit::kMonth, 6 * kHour}, "2026-03-01T05:59Z"),
            "2026-02-01T06:00:00.000Z 2026-03-01T06:00:00.000Z");
}

TEST(Calendar, TheFirstAndTheLastYear) {
  CalendarEdges days = made("Asia/Tokyo", kDays);  // local mean time: +9:18:59
  EXPECT_EQ(days.span_of(kMinEventTime).end, kMinEventTime + kDay - (9 * kHour + 18 * kMinute + 59'000));
  EXPECT_EQ(days.span_of(kEndEventTime - 1).end, kEndEventTime + 15 * kHour);
  EXPECT_EQ(made("UTC", {CalendarUnit::kYear}).span_of(kEndEventTime - 1).end, kEndEventTime);
  EXPECT_EQ(made("UTC", {CalendarUnit::kYear}).span_of(kMinEventTime).start, kMinEventTime);
  EXPECT_EQ(made("America/New_York", {CalendarUnit::kYear}).span_of(kMinEventTime).start,
            kMinEventTime - 366 * kDay + 4 * kHour + 56 * kMinute + 2'000);  // year 0 is a leap year
}

TEST(Calendar, EdgesOfARangeHaveBothEnds) {
  CalendarEdges days = made("UTC", kDays);
  EXPECT_EQ(days.edges(0, 2 * kDay), (std::vector<Millis>{0, kDay, 2 * kDay}));
  EXPECT_EQ(days.edges(1, kDay - 1), std::vector<Millis>{});
  EXPECT_EQ(days.edges(1, 0), std::vector<Millis>{});
  EXPECT_EQ(days.edges(0, 0), std::vector<Millis>{0});
}

// Random rules and zones; near jumps of the clock and anywhere.
class AnyRule : public testing::TestWithParam<uint64_t> {
 protected:
  std::mt19937_64 random{GetParam()};

  CalendarRule rule() {
    CalendarRule rule{static_cast<CalendarUnit>(random() % 6), 0, static_cast<int>(random() % 7)};
    if (rule.unit != CalendarUnit::kHour && random() % 2 == 0) rule.starts_at = static_cast<Millis>(random() % kDay);
    return rule;
  }
  int zone_number() { return static_cast<int>(random() % zone_names().size()); }
  Millis time(const Zone& zone) {
    constexpr auto kRange = static_cast<uint64_t>(kEndEventTime - kMinEventTime);
    if (random() % 3 == 0) return kMinEventTime + static_cast<Millis>(random() % kRange);
    const Millis jump = zone.stretch_at(at("1860-01-01") + static_cast<Millis>(random() % (250ULL * 365 * kDay))).start;
    const Millis t = jump == kMinusInfinity ? 0 : jump;
    return t + static_cast<Millis>(random() % (6 * kHour)) - 3 * kHour;
  }
};

TEST_P(AnyRule, WindowsLieSideBySideAndTheMemoryDoesNotShow) {
  SCOPED_TRACE(testing::Message() << "seed " << GetParam());
  for (int round = 0; round < 200; ++round) {
    const Zone& zone = wrackline::zone(zone_number());
    const CalendarRule rule = this->rule();
    CalendarEdges warm(zone, rule);
    for (int i = 0; i < 50; ++i) {
      const Millis t = time(zone);
      const CalendarSpan span = warm.span_of(t);
      ASSERT_TRUE(span.contains(t));
      ASSERT_EQ(span, CalendarEdges(zone, rule).span_of(t));
      ASSERT_EQ(warm.span_of(span.end).start, span.end);
      ASSERT_EQ(warm.span_of(span.start - 1).end, span.start);
      ASSERT_EQ(warm.span_of(span.end - 1), span);
    }
  }
}

// The rule to the letter, from stretches of the clock alone: days, and hours, over a few days.
// rule: 5.6 5.7
TEST_P(AnyRule, DaysAndHoursAreWhatTheClockShows) {
  SCOPED_TRACE(testing::Message() << "seed " << GetParam());
  constexpr Millis kTick = 1'000;  // clocks jump at whole seconds
  for (int round = 0; round < 5; ++round) {
    const Zone& zone = wrackline::zone(zone_number());
    CalendarRule rule{random() % 2 == 0 ? CalendarUnit::kHour : CalendarUnit::kDay};
    if (rule.unit == CalendarUnit::kDay) rule.starts_at = static_cast<Millis>(random() % (kDay / kTick)) * kTick;
    const Millis from = floor_div(time(zone), kTick) * kTick - kDay;
    const Millis to = from + 2 * kDay;
    std::vector<Millis> expected;
    Millis days_begun = kMinusInfinity;
    for (Millis t = from - 2 * kDay; t <= to; t += kTick) {
      const Millis shows = t + zone.stretch_at(t).offset;
      const bool edge = rule.unit == CalendarUnit::kHour ? floor_div(shows, kHour) * kHour == shows
                                                         : floor_div(shows - rule.starts_at, kDay) > days_begun;
      days_begun = std::max(days_begun, floor_div(shows - rule.starts_at, kDay));
      if (edge && t >= from) expected.push_back(t);
    }
    ASSERT_EQ(CalendarEdges(zone, rule).edges(from, to), expected) << format_iso(from) << " " << rule.starts_at;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, AnyRule, testing::Range<uint64_t>(1, 21));

}  // namespace
}  // namespace wrackline

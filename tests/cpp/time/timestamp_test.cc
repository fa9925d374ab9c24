#include "wrackline/time/timestamp.h"

#include <cmath>
#include <limits>
#include <random>
#include <string>

#include <gtest/gtest.h>

namespace wrackline {
namespace {

std::string two(int value) { return {static_cast<char>('0' + value / 10), static_cast<char>('0' + value % 10)}; }

int days_in_month(int year, int month) {
  if (month == 2) return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0 ? 29 : 28;
  return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

TEST(ParseIso, ReadsKnownInstants) {
  EXPECT_EQ(parse_iso("1970-01-01T00:00:00Z"), 0);
  EXPECT_EQ(parse_iso("2000-02-29T12:34:56.789Z"), 951'827'696'789);
  EXPECT_EQ(parse_iso("2023-11-14T22:13:20"), 1'700'000'000'000);
  EXPECT_EQ(parse_iso("2023-11-14 22:13:20"), 1'700'000'000'000);
  EXPECT_EQ(parse_iso("2023-11-14T22:13"), 1'699'999'980'000);
  EXPECT_EQ(parse_iso("2023-11-14"), 1'699'920'000'000);
  EXPECT_EQ(parse_iso("0001-01-01T00:00:00Z"), kMinEventTime);
  EXPECT_EQ(parse_iso("9999-12-31T23:59:59.999Z"), kEndEventTime - 1);
}

// rule: 1.2
TEST(ParseIso, WithoutOffsetIsUtcAndWithOneIsTakenBack) {
  EXPECT_EQ(parse_iso("1970-01-01T05:30:00+05:30"), 0);
  EXPECT_EQ(parse_iso("1970-01-01T05:30:00+0530"), 0);
  EXPECT_EQ(parse_iso("1970-01-01T05:00:00+05"), 0);
  EXPECT_EQ(parse_iso("1969-12-31T16:00:00-08:00"), 0);
}

// rule: 1.3
TEST(ParseIso, FloorsFractionsOfAMillisecondAlsoBefore1970) {
  EXPECT_EQ(parse_iso("1970-01-01T00:00:00.0019Z"), 1);
  EXPECT_EQ(parse_iso("1970-01-01T00:00:00.999999999Z"), 999);
  EXPECT_EQ(parse_iso("1969-12-31T23:59:59.999999Z"), -1);
  EXPECT_EQ(parse_iso("1969-12-31T23:59:59.9990001Z"), -1);
  EXPECT_EQ(parse_iso("1969-12-31T23:59:59.998999Z"), -2);
  EXPECT_EQ(parse_iso("1970-01-01T00:00:00.1Z"), 100);
}

// rule: 1.12
TEST(ParseIso, RefusesWhatIsNoTime) {
  for (const char* text : {"",
                           "not a time",
                           "2024-01-01T00:00:00.1234567890Z",
                           "2024-01-01T00:00:60Z",
                           "2024-01-01T24:00:00Z",
                           "0000-01-01T00:00:00Z",
                           "2023-02-29T00:00:00Z",
                           "1900-02-29T00:00:00Z",
                           "2024-04-31T00:00:00Z",
                           "2024-00-10T00:00:00Z",
                           "2024-13-10T00:00:00Z",
                           "2024-01-00T00:00:00Z",
                           "2024-01-32T00:00:00Z",
                           "2024-01-01T00:60:00Z",
                           "2024-01-01T00:00:00.Z",
                           "2024-01-01T00:00:00+24:00",
                           "2024-01-01T00:00:00+05:60",
                           "2024-01-01T00:00:00ZZ",
                           "2024-01-01T00:00:00 Z",
                           " 2024-01-01T00:00:00Z",
                           "2024-01-01T00:00:00Z ",
                           "2024-1-01T00:00:00Z",
                           "24-01-01T00:00:00Z",
                           "2024/01/01T00:00:00Z",
                           "2024-01-01X00:00:00Z",
                           "2024-01-01T",
                           "2024-01-01T00",
                           "2024-01-01T0:00:00Z",
                           "2024-01-01T00:00:0Z",
                           "+2024-01-01T00:00:00Z",
                           "-001-01-01T00:00:00Z",
                           "10000-01-01T00:00:00Z",
                           "2024-01-01T00:00:00+",
                           "2024-01-01T00:00:00+5",
                           "2024-01-01T00:00:00+05:",
                           "2024-01-01T00:00:00+05:3",
                           "20240101T000000Z",
                           "1700000000",
                           "2024-01-01Z",
                           "0001-01-01T00:00:00+05:30",
                           "9999-12-31T23:59:59-08:00"}) {
    EXPECT_EQ(parse_iso(text), std::nullopt) << text;
  }
  EXPECT_EQ(parse_iso(std::string_view("2024-01-01T00:00:00\0Z", 21)), std::nullopt);
}

// Walks the calendar day by day, with no formula.
TEST(Iso, EveryDayOfTheYears1To9999ReadsAndWritesAsCounted) {
  Millis t = kMinEventTime;
  int checked = 0;
  for (int year = 1; year <= 9999; ++year) {
    std::string text = std::to_string(year);
    text.insert(0, 4 - text.size(), '0');
    for (int month = 1; month <= 12; ++month) {
      for (int day = 1; day <= days_in_month(year, month); ++day, t += 86'400'000) {
        // Every day near the ends of a month, one in seven else.
        if (day > 2 && day < 28 && (day + month + year) % 7 != 0) continue;
        const std::string date = text + "-" + two(month) + "-" + two(day);
        ASSERT_EQ(parse_iso(date), t) << date;
        ASSERT_EQ(format_iso(t), date + "T00:00:00.000Z");
        ASSERT_EQ(format_iso(t + 86'399'999), date + "T23:59:59.999Z");
        ++checked;
      }
    }
  }
  EXPECT_EQ(t, kEndEventTime);
  EXPECT_GT(checked, 500'000);
}

TEST(Iso, FormatsInfinitiesAsWords) {
  EXPECT_EQ(format_iso(kMinusInfinity), "-inf");
  EXPECT_EQ(format_iso(kPlusInfinity), "+inf");
}

TEST(Iso, RandomTimesReadBack) {
  std::mt19937_64 random(7);
  for (int i = 0; i < 100'000; ++i) {
    const Millis t =
        kMinEventTime + static_cast<Millis>(random() % static_cast<uint64_t>(kEndEventTime - kMinEventTime));
    ASSERT_EQ(parse_iso(format_iso(t)), t);
  }
}

// rule: 1.3
TEST(ToMillis, FloorsTowardsThePastInEveryUnit) {
  EXPECT_EQ(to_millis(int64_t{-1}, TimeUnit::kMicros), -1);
  EXPECT_EQ(to_millis(int64_t{-1'000}, TimeUnit::kMicros), -1);
  EXPECT_EQ(to_millis(int64_t{-1'001}, TimeUnit::kMicros), -2);
  EXPECT_EQ(to_millis(int64_t{999'999}, TimeUnit::kNanos), 0);
  EXPECT_EQ(to_millis(int64_t{-1}, TimeUnit::kNanos), -1);
  EXPECT_EQ(to_millis(int64_t{-3}, TimeUnit::kSeconds), -3'000);
  EXPECT_EQ(to_millis(462.125, TimeUnit::kSeconds), 462'125);
  EXPECT_EQ(to_millis(-0.0001, TimeUnit::kSeconds), -1);
  EXPECT_EQ(to_millis(1'700'000'000.123, TimeUnit::kSeconds), 1'700'000'000'123);
  EXPECT_EQ(to_millis(1.999, TimeUnit::kMillis), 1);
  EXPECT_EQ(to_millis(1'699'999'999'999'999'744.0, TimeUnit::kNanos), 1'699'999'999'999);
  EXPECT_EQ(to_millis(-0.5, TimeUnit::kMicros), -1);
}

// rule: 1.11
TEST(ToMillis, KeepsWithinTheYears1To9999) {
  EXPECT_EQ(to_millis(int64_t{253'402'300'799}, TimeUnit::kSeconds), kEndEventTime - 1'000);
  EXPECT_EQ(to_millis(int64_t{253'402'300'800}, TimeUnit::kSeconds), std::nullopt);
  EXPECT_EQ(to_millis(int64_t{-62'135'596'800}, TimeUnit::kSeconds), kMinEventTime);
  EXPECT_EQ(to_millis(int64_t{-62'135'596'801}, TimeUnit::kSeconds), std::nullopt);
  EXPECT_EQ(to_millis(std::numeric_limits<int64_t>::max(), TimeUnit::kSeconds), std::nullopt);
  EXPECT_EQ(to_millis(std::numeric_limits<int64_t>::min(), TimeUnit::kMillis), std::nullopt);
  EXPECT_EQ(to_millis(kEndEventTime, TimeUnit::kMillis), std::nullopt);
  EXPECT_EQ(to_millis(std::nan(""), TimeUnit::kMillis), std::nullopt);
  EXPECT_EQ(to_millis(HUGE_VAL, TimeUnit::kNanos), std::nullopt);
  EXPECT_EQ(to_millis(-1e300, TimeUnit::kSeconds), std::nullopt);
}

TEST(ToMillis, SecondsWithThreeDecimalsAreExact) {
  std::mt19937_64 random(3);
  for (int i = 0; i < 100'000; ++i) {
    const auto millis = static_cast<Millis>(random() % 4'102'444'800'000);
    ASSERT_EQ(to_millis(static_cast<double>(millis) / 1e3, TimeUnit::kSeconds), millis);
  }
}

TEST(Unit, NamesReadBackAndOthersAreRefused) {
  for (const TimeUnit unit :
       {TimeUnit::kSeconds, TimeUnit::kMillis, TimeUnit::kMicros, TimeUnit::kNanos, TimeUnit::kAuto}) {
    EXPECT_EQ(*parse_unit(unit_name(unit)), unit);
  }
  EXPECT_FALSE(parse_unit("sec").ok());
}

}  // namespace
}  // namespace wrackline

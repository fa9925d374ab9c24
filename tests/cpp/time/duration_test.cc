#include "wrackline/time/duration.h"

#include <random>

#include <gtest/gtest.h>

namespace wrackline {
namespace {

Millis parsed(std::string_view text) {
  const Result<Millis> result = parse_duration(text);
  EXPECT_TRUE(result.ok()) << text << ": " << result.status().message();
  return result.ok() ? *result : -1;
}

std::string refused(std::string_view text) {
  const Result<Millis> result = parse_duration(text);
  EXPECT_FALSE(result.ok()) << text;
  EXPECT_EQ(result.status().code(), Code::kInvalidArgument) << text;
  return result.status().message();
}

TEST(Duration, ReadsEveryUnit) {
  EXPECT_EQ(parsed("250ms"), 250);
  EXPECT_EQ(parsed("90s"), 90'000);
  EXPECT_EQ(parsed("5m"), 300'000);
  EXPECT_EQ(parsed("6h"), 21'600'000);
  EXPECT_EQ(parsed("7d"), 604'800'000);
  EXPECT_EQ(parsed("0s"), 0);
}

TEST(Duration, AddsUnitsFromTheLargestToTheSmallest) {
  EXPECT_EQ(parsed("1h30m"), 5'400'000);
  EXPECT_EQ(parsed("1d2h3m4s5ms"), 93'784'005);
  EXPECT_EQ(parsed("-1h30m"), -5'400'000);
}

// rule: 5.2
TEST(Duration, RefusesCalendarWordsAndNamesCalendar) {
  for (const char* text : {"1w", "1mo", "1q", "1y", "1d1w"}) {
    EXPECT_NE(refused(text).find("calendar"), std::string::npos) << text;
  }
}

TEST(Duration, RefusesWhatIsNoDuration) {
  for (const char* text : {"",     "-",   "5",   "m",    "5 m",  "5m ",  " 5m",   "1.5h", "1,5h", "5M",
                           "5min", "5us", "5ns", "1m1h", "1m1m", "--5m", "5m-3s", "+5m",  "0x5m", "1h30"}) {
    refused(text);
  }
}

// rule: 1.11 5.18
TEST(Duration, EndsAtTenToTheFifteenMilliseconds) {
  EXPECT_EQ(parsed("1000000000000000ms"), kMaxDuration);
  EXPECT_EQ(parsed("11574074d"), 11'574'074LL * 86'400'000);
  refused("1000000000000001ms");
  refused("11574075d");
  refused("11574074d2h");
  refused("99999999999999999999999d");
}

TEST(Duration, FormatReadsBack) {
  EXPECT_EQ(format_duration(21'600'000), "6h");
  EXPECT_EQ(format_duration(86'400'000), "1d");
  EXPECT_EQ(format_duration(5'400'000), "1h30m");
  EXPECT_EQ(format_duration(0), "0s");
  EXPECT_EQ(format_duration(-250), "-250ms");
  std::mt19937_64 random(11);
  for (int i = 0; i < 10'000; ++i) {
    const auto duration = static_cast<Millis>(random() % (2 * kMaxDuration)) - kMaxDuration;
    ASSERT_EQ(parsed(format_duration(duration)), duration);
  }
}

}  // namespace
}  // namespace wrackline

#include "wrackline/time/zone.h"

#include <random>
#include <set>

#include <gtest/gtest.h>

#include "wrackline/time/posix_rule.h"
#include "wrackline/time/timestamp.h"
#include "wrackline/time/zones.h"

namespace wrackline {
namespace {

constexpr Millis kHour = 3'600'000;
constexpr Millis kDay = 24 * kHour;

Millis at(std::string_view iso) { return parse_iso(iso).value(); }
const Zone& named(std::string_view name) { return zone(zone_index(name).value()); }

TEST(PosixRule, ReadsWhatTzFilesHave) {
  const auto berlin = parse_posix_rule("CET-1CEST,M3.5.0,M10.5.0/3");
  ASSERT_TRUE(berlin && berlin->summer);
  EXPECT_EQ(berlin->standard, kHour);
  EXPECT_EQ(berlin->summer->offset, 2 * kHour);
  EXPECT_EQ(berlin->summer->begins.in(2026), at("2026-03-29T02:00"));
  EXPECT_EQ(berlin->summer->ends.in(2026), at("2026-10-25T03:00"));

  // Names in brackets, minutes, an hour before midnight, offsets of both signs, summer that is not one hour.
  const auto nuuk = parse_posix_rule("<-02>2<-01>,M3.5.0/-1,M10.5.0/0");
  ASSERT_TRUE(nuuk && nuuk->summer);
  EXPECT_EQ(nuuk->standard, -2 * kHour);
  EXPECT_EQ(nuuk->summer->begins.in(2026), at("2026-03-28T23:00"));
  const auto lord_howe = parse_posix_rule("<+1030>-10:30<+11>-11,M10.1.0,M4.1.0");
  ASSERT_TRUE(lord_howe && lord_howe->summer);
  EXPECT_EQ(lord_howe->standard, 10 * kHour + kHour / 2);
  EXPECT_EQ(lord_howe->summer->begins.in(2026), at("2026-10-04T02:00"));
  const auto gaza = parse_posix_rule("EET-2EEST,M3.4.4/50,M10.4.4/50");
  ASSERT_TRUE(gaza && gaza->summer);
  EXPECT_EQ(gaza->summer->begins.in(2026), at("2026-03-28T02:00"));  // 50 h after Thursday the 26th

  const auto kolkata = parse_posix_rule("IST-5:30");
  ASSERT_TRUE(kolkata);
  EXPECT_FALSE(kolkata->summer);
  EXPECT_EQ(kolkata->standard, 5 * kHour + kHour / 2);
}

TEST(PosixRule, DaysOfTheYear) {
  const auto rule = parse_posix_rule("A0B,J60/0,59/0");
  ASSERT_TRUE(rule && rule->summer);
  EXPECT_EQ(rule->summer->begins.in(2023), at("2023-03-01"));
  EXPECT_EQ(rule->summer->begins.in(2024), at("2024-03-01"));
  EXPECT_EQ(rule->summer->ends.in(2023), at("2023-03-01"));
  EXPECT_EQ(rule->summer->ends.in(2024), at("2024-02-29"));
}

TEST(PosixRule, RefusesWhatIsNone) {
  for (const char* text : {"", "5", "CET", "CET-", "CET-25", "CET-1CEST", "CET-1CEST,M3.5.0",
                           "CET-1CEST,M13.5.0,M10.5.0", "CET-1CEST,M3.6.0,M10.5.0", "CET-1CEST,M3.5.7,M10.5.0",
                           "CET-1CEST,J0,J365", "CET-1CEST,J366,J3", "CET-1CEST,366,3", "CET-1CEST,M3.5.0,M10.5.0/168",
                           "<CET-1", "CET-1 ", "CET-1CEST,M3.5.0,M10.5.0x", "CET-1:60"}) {
    EXPECT_FALSE(parse_posix_rule(text)) << text;
  }
}

TEST(Zones, EveryZoneIsReadAndFoundByItsName) {
  ASSERT_GT(zone_names().size(), 500U);
  for (size_t i = 0; i < zone_names().size(); ++i) {
    const std::string& name = zone_names()[i];
    EXPECT_EQ(find_zone(name), static_cast<int>(i)) << name;
    const Result<Zone> read = Zone::parse(zone_file(static_cast<int>(i)));
    EXPECT_TRUE(read.ok()) << name << ": " << read.status().message();
    EXPECT_EQ(find_zone(name + "x"), -1);
    EXPECT_EQ(find_zone(std::string_view(name).substr(1)), find_zone(name.substr(1)));  // whatever lies around it
  }
  EXPECT_EQ(find_zone(""), -1);
  EXPECT_EQ(find_zone("europe/berlin"), -1);
}

TEST(Zones, TheVersionIsOneOfIana) {
  const std::string version(tz_version());
  ASSERT_EQ(version.size(), 5U);
  EXPECT_EQ(version.find_first_not_of("0123456789"), 4U);
}

TEST(Zones, AnUnknownNameGetsTheNearest) {
  EXPECT_EQ(zone_index("Europe/Berln").status().message(),
            "unknown time zone 'Europe/Berln'; did you mean 'Europe/Berlin'?");
  EXPECT_NE(zone_index("europe/berlin").status().message().find("did you mean 'Europe/Berlin'?"), std::string::npos);
  // Not EST, not GMT+0: what is near in letters is far away.
  EXPECT_NE(zone_index("PST").status().message().find("an abbreviation is no zone"), std::string::npos);
  EXPECT_NE(zone_index("UTC+2").status().message().find("'Etc/GMT-2' for two hours east"), std::string::npos);
  EXPECT_NE(zone_index("+02:00").status().message().find("'Etc/GMT-2' for two hours east"), std::string::npos);
  EXPECT_NE(zone_index("the moon, dark side").status().message().find("such as 'Europe/Berlin'"), std::string::npos);
}

TEST(Zone, OffsetsOfThen) {
  EXPECT_EQ(named("UTC").stretch_at(0).offset, 0);
  EXPECT_EQ(named("Europe/Berlin").stretch_at(at("2026-07-01")).offset, 2 * kHour);
  EXPECT_EQ(named("Europe/Berlin").stretch_at(at("2026-12-01")).offset, kHour);
  EXPECT_EQ(named("Asia/Kathmandu").stretch_at(at("2026-12-01")).offset, 5 * kHour + 45 * 60'000);
  // Local mean time, to the second.
  EXPECT_EQ(named("Europe/Berlin").stretch_at(at("1800-01-01")).offset, 53 * 60'000 + 28'000);
  EXPECT_EQ(named("America/New_York").stretch_at(kMinEventTime).offset, -(4 * kHour + 56 * 60'000 + 2'000));
}

TEST(Zone, StretchesOfFarYearsFollowTheRule) {
  // Second Sunday of March, first of November: in 9998 the 8th and the 1st.
  const Zone& zone = named("America/New_York");
  const Zone::Stretch summer = zone.stretch_at(at("9998-07-01"));
  EXPECT_EQ(summer.start, at("9998-03-08T07:00Z"));
  EXPECT_EQ(summer.end, at("9998-11-01T06:00Z"));
  EXPECT_EQ(summer.offset, -4 * kHour);
  EXPECT_EQ(zone.stretch_at(summer.end).start, summer.end);
  EXPECT_EQ(zone.stretch_at(summer.end).offset, -5 * kHour);
  EXPECT_EQ(zone.stretch_at(summer.start - 1).end, summer.start);
}

TEST(Zone, ItsStretchesLieSideBySideThroughAllYears) {
  for (int i = 0; i < static_cast<int>(zone_names().size()); i += 7) {
    const Zone& zone = wrackline::zone(i);
    Millis t = kMinEventTime;
    int jumps = 0;
    while (true) {
      const Zone::Stretch stretch = zone.stretch_at(t);
      ASSERT_TRUE(stretch.start <= t && t < stretch.end) << zone_names()[static_cast<size_t>(i)] << " " << t;
      ASSERT_LE(std::abs(stretch.offset), 16 * kHour);
      if (stretch.end >= kEndEventTime) break;
      ASSERT_EQ(zone.stretch_at(stretch.end).start, stretch.end) << zone_names()[static_cast<size_t>(i)];
      ASSERT_NE(zone.stretch_at(stretch.end).offset, stretch.offset);
      t = stretch.end;
      ++jumps;
    }
    EXPECT_LT(jumps, 17'000);
  }
}

// By its definition, from stretches alone.
TEST(Zone, TheFirstShowingIsTheFirst) {
  std::mt19937_64 random(7);
  for (int round = 0; round < 20'000; ++round) {
    const Zone& zone = wrackline::zone(static_cast<int>(random() % zone_names().size()));
    const Millis near =
        round % 4 == 0
            ? static_cast<Millis>(random() % static_cast<uint64_t>(kEndEventTime - kMinEventTime)) + kMinEventTime
            : at("1840-01-01") + static_cast<Millis>(random() % (300ULL * 365 * kDay));
    // Around a jump, where there is one.
    const Zone::Stretch stretch = zone.stretch_at(near);
    const Millis jump = stretch.end == kPlusInfinity ? near : stretch.end;
    const Millis local = jump + stretch.offset + static_cast<Millis>(random() % (4 * kDay)) - 2 * kDay;
    const Millis first = zone.first_showing(local);
    const auto shows = [&](Millis t) { return t + zone.stretch_at(t).offset; };
    ASSERT_GE(shows(first), local);
    // Before it the clock never showed it: the last instants of the stretches of the days before.
    Millis before = first;
    while (before > first - 5 * kDay) {
      ASSERT_LT(shows(before - 1), local);
      const Millis start = zone.stretch_at(before - 1).start;
      if (start == kMinusInfinity) break;
      before = start;
    }
    // And the two directions agree.
    ASSERT_GE(zone.latest_shown(first), local);
    ASSERT_LT(zone.latest_shown(first - 1), local);
  }
}

TEST(Zone, FilesThatAreCutOffOrChangedAreRefusedOrRead) {
  const std::string whole(zone_file(find_zone("Europe/Berlin")));
  for (size_t size = 0; size < whole.size(); ++size) {
    const Result<Zone> read = Zone::parse(std::string_view(whole).substr(0, size));
    ASSERT_FALSE(read.ok()) << size;
    EXPECT_EQ(read.status().code(), Code::kCorruption);
  }
  std::mt19937_64 random(11);
  for (int round = 0; round < 20'000; ++round) {
    std::string changed = whole;
    for (uint64_t n = random() % 3 + 1; n > 0; --n) changed[random() % changed.size()] = static_cast<char>(random());
    const Result<Zone> read = Zone::parse(changed);  // no matter which; not beyond the bytes
    EXPECT_TRUE(read.ok() || read.status().code() == Code::kCorruption);
  }
}

}  // namespace
}  // namespace wrackline

// Windows that are open while the rules of their zone change.
#include <map>
#include <string>

#include "step_harness.h"
#include <gtest/gtest.h>

#include "wrackline/core/logging.h"
#include "wrackline/time/zones.h"
#include "wrackline/window/window.h"

namespace wrackline::testing {
namespace {

constexpr Millis kHour = 3'600'000;

// rule: 5.11
TEST(CalendarStateTest, OpenWindowsKeepTheEdgesThatTheyWereOpenedWith) {
  const SchemaPtr schema = std::make_shared<const Schema>(std::vector<Field>{{"k", Type::kString, true}});
  WindowSpec spec;
  spec.key_columns = {"k"};
  spec.kind = CalendarWindow{.unit = CalendarUnit::kDay, .zone = "UTC"};
  spec.aggregates = {{"n", "count", ""}};
  auto step = make_window_step("days", spec, schema).value();
  CollectingEmitter before;
  BatchMaker maker(schema);
  maker.add(5 * kHour, {std::string("a")});
  maker.move(5 * kHour);
  push(*step, maker.take(), before);
  Checkpoint checkpoint;
  checkpoint.take(*step);

  // As another version of the tz database would have left it: of its name, with a day of 25 hours.
  auto& units = checkpoint.units();
  auto day = units.extract("s:0:" + std::to_string(24 * kHour));
  ASSERT_FALSE(day.empty());
  day.key() = "s:0:" + std::to_string(25 * kHour);
  units.insert(std::move(day));
  Bytes& meta = units.at("meta").front().second;
  std::string text(reinterpret_cast<const char*>(meta.data()), meta.size());
  const size_t at = text.find(tz_version());
  ASSERT_NE(std::string::npos, at) << "the version is in the checkpoint";
  meta[at] = uint8_t{'1'};

  std::vector<std::string> lines;
  set_log_hook([&](LogLevel, std::string_view line) { lines.emplace_back(line); });
  auto again = make_window_step("days", spec, schema).value();
  checkpoint.restore(*again);
  set_log_hook(nullptr);
  ASSERT_EQ(1U, lines.size());
  EXPECT_NE(std::string::npos, lines[0].find("'days'")) << lines[0];
  EXPECT_NE(std::string::npos, lines[0].find("1" + std::string(tz_version()).substr(1))) << lines[0];

  CollectingEmitter out;
  const auto ends = [&] {
    std::vector<Millis> result;
    for (const Output& output : out.main) result.push_back(std::get<Timestamp>(output.row[2]).millis / kHour);
    return result;
  };
  maker.start(5 * kHour);
  maker.move(24 * kHour);
  push(*again, maker.take(), out);
  EXPECT_TRUE(ends().empty()) << "it is still open";
  maker.start(24 * kHour);
  maker.add(30 * kHour, {std::string("a")});
  maker.move(49 * kHour);
  push(*again, maker.take(), out);
  EXPECT_EQ((std::vector<Millis>{25, 48}), ends()) << "the next day is of the rules of now";
}

}  // namespace
}  // namespace wrackline::testing

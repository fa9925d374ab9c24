// What a spec must not hold (semantics.md 5), and the schema of what comes out.
#include <gtest/gtest.h>

#include "wrackline/core/late.h"
#include "wrackline/window/window.h"

namespace wrackline::testing {
namespace {

const SchemaPtr kInput = std::make_shared<const Schema>(std::vector<Field>{{"truck", Type::kString, false},
                                                                           {"speed", Type::kFloat64, true},
                                                                           {"count", Type::kInt64, false},
                                                                           {"at", Type::kTimestamp, false}});

std::string error_of(const WindowSpec& spec) {
  const auto step = make_window_step("w", spec, kInput);
  EXPECT_EQ(step.ok(), window_output_schema(spec, kInput).ok());
  if (step.ok()) return "";
  EXPECT_EQ(Code::kInvalidArgument, step.status().code());
  return step.status().message();
}

FixedWindow& fixed(WindowSpec& spec) { return std::get<FixedWindow>(spec.kind); }

WindowSpec good() {
  WindowSpec spec = WindowSpec::hopping(60'000, 10'000);
  spec.key_columns = {"truck"};
  spec.aggregates = {{"n", "count", ""}};
  return spec;
}

// rule: 5.18
TEST(WindowBuildTest, RefusesTimesThatCannotBe) {
  EXPECT_EQ("", error_of(good()));
  const auto refused = [](auto change) {
    WindowSpec spec = good();
    change(spec);
    return !error_of(spec).empty();
  };
  EXPECT_TRUE(refused([](WindowSpec& s) { fixed(s).size = 0; }));
  EXPECT_TRUE(refused([](WindowSpec& s) { fixed(s).size = -5; }));
  EXPECT_TRUE(refused([](WindowSpec& s) { fixed(s).slide = 0; }));
  EXPECT_TRUE(refused([](WindowSpec& s) { fixed(s).slide = 60'001; }));
  EXPECT_TRUE(refused([](WindowSpec& s) { fixed(s).offset = 10'000; }));
  EXPECT_TRUE(refused([](WindowSpec& s) { fixed(s).offset = -10'000; }));
  EXPECT_TRUE(refused([](WindowSpec& s) { fixed(s).offset = kMinusInfinity; }));
  EXPECT_FALSE(refused([](WindowSpec& s) { fixed(s).offset = -9'999; }));
  EXPECT_TRUE(refused([](WindowSpec& s) { fixed(s).size = 100'001, fixed(s).slide = 100'000; }));
  EXPECT_FALSE(refused([](WindowSpec& s) { fixed(s).size = 100'000, fixed(s).slide = 1; }));
  EXPECT_TRUE(refused([](WindowSpec& s) { fixed(s).size = fixed(s).slide = kMaxDuration + 1; }));
  EXPECT_FALSE(refused([](WindowSpec& s) { fixed(s).size = fixed(s).slide = kMaxDuration; }));
  EXPECT_TRUE(refused([](WindowSpec& s) { s.allowed_lateness = -1; }));
  EXPECT_TRUE(refused([](WindowSpec& s) { s.allowed_lateness = kPlusInfinity; }));
}

// rule: 5.18
TEST(WindowBuildTest, AColumnOfZonesIsThereAndHoldsText) {
  const auto error = [](const char* zone, const char* column) {
    WindowSpec spec = good();
    spec.kind = CalendarWindow{.unit = CalendarUnit::kDay, .zone = zone, .zone_column = column};
    return error_of(spec);
  };
  EXPECT_EQ("", error("", "truck"));
  EXPECT_NE(std::string::npos, error("", "truk").find("'truk', which is not a column"));
  EXPECT_NE(std::string::npos, error("", "speed").find("zones are strings"));
  EXPECT_NE(std::string::npos, error("Europe/Berln", "").find("Europe/Berlin"));
}

// rule: 5.18
TEST(WindowBuildTest, NamesTheNearestSpelling) {
  WindowSpec spec = good();
  spec.aggregates = {{"m", "maen", "speed"}};
  EXPECT_NE(std::string::npos, error_of(spec).find("'mean'")) << error_of(spec);
  spec.aggregates = {{"m", "mean", "sped"}};
  EXPECT_NE(std::string::npos, error_of(spec).find("'speed'")) << error_of(spec);
  spec = good();
  spec.key_columns = {"trukc"};
  EXPECT_NE(std::string::npos, error_of(spec).find("'truck'")) << error_of(spec);
}

TEST(WindowBuildTest, RefusesTypesThatAFunctionDoesNotTake) {
  for (const std::string function : {"sum", "mean", "var", "std"}) {
    for (const std::string column : {"truck", "at"}) {
      WindowSpec spec = good();
      spec.aggregates = {{"x", function, column}};
      EXPECT_NE("", error_of(spec)) << function << " of " << column;
    }
  }
  WindowSpec spec = good();
  spec.aggregates = {{"x", "sum", "speed", true}};
  EXPECT_NE("", error_of(spec));
  spec.aggregates = {{"x", "sum", ""}};
  EXPECT_NE("", error_of(spec));
}

TEST(WindowBuildTest, RefusesTwoOutputColumnsOfOneName) {
  for (const std::string name : {"truck", "window_start", "window_end", "revision", "pane", "n"}) {
    WindowSpec spec = good();
    spec.aggregates.push_back({name, "max", "speed"});
    EXPECT_NE(std::string::npos, error_of(spec).find("'" + name + "'"));
  }
}

// rule: 4.13
TEST(WindowBuildTest, OutputHasKeyWindowPaneAndAggregates) {
  WindowSpec spec = good();
  spec.aggregates = {{"n", "count", ""},          {"total", "sum", "count"},         {"wide", "sum", "count", true},
                     {"speed", "sum", "speed"},   {"mean", "mean", "count"},         {"first", "first", "at"},
                     {"all", "collect", "speed"}, {"distinct", "n_unique", "truck"}, {"low", "min", "truck"}};
  const SchemaPtr output = window_output_schema(spec, kInput).value();
  const Schema expected(std::vector<Field>{{"truck", Type::kString, false},
                                           {"window_start", Type::kTimestamp, false},
                                           {"window_end", Type::kTimestamp, false},
                                           {"revision", Type::kInt64, false},
                                           {"pane", Type::kString, false},
                                           {"n", Type::kInt64, false},
                                           {"total", Type::kInt64, false},
                                           {"wide", Type::kDecimal, false},
                                           {"speed", Type::kFloat64, false},
                                           {"mean", Type::kFloat64, true},
                                           {"first", Type::kTimestamp, true},
                                           {"all", Type::kList, false, Type::kFloat64},
                                           {"distinct", Type::kInt64, false},
                                           {"low", Type::kString, true}});
  EXPECT_TRUE(expected == *output);
}

// rule: 3.6
TEST(WindowBuildTest, LateRowsKeepOwnColumnsOfTheAddedNames) {
  const Schema input(std::vector<Field>{
      {"k", Type::kString, false}, {"window_start", Type::kTimestamp, false}, {"reason", Type::kInt64, true}});
  const std::vector<std::string> expected = {
      "k", "window_start_row", "reason_row", "late_by_ms", "watermark", "window_start", "window_end", "reason", "step"};
  EXPECT_EQ(expected, late_schema(input)->names());
}

TEST(WindowBuildTest, FingerprintTellsWhatShapesTheStateAndNothingElse) {
  const auto print = [](const WindowSpec& spec) { return make_window_step("w", spec, kInput).value()->fingerprint(); };
  WindowSpec renamed = good();
  renamed.aggregates[0].name = "rows";
  renamed.allowed_lateness = 5;
  renamed.emit_late_each = true;
  EXPECT_EQ(print(good()), print(renamed));
  WindowSpec other = good();
  fixed(other).slide = 20'000;
  EXPECT_NE(print(good()), print(other));
  other = good();
  other.aggregates[0] = {"n", "count", "speed"};
  EXPECT_NE(print(good()), print(other));
  other = good();
  other.key_columns = {"count"};
  EXPECT_NE(print(good()), print(other));
}

// rule: 4.18
TEST(WindowBuildTest, RowsOfASessionThatMayBeWithdrawnAreNoRowsOfAChain) {
  WindowSpec spec = WindowSpec::of(SessionWindow{1000});
  EXPECT_FALSE(spec.emits_more_than_once());
  spec.emit = EmitMode::kDelta;
  EXPECT_FALSE(spec.emits_more_than_once());
  spec.allowed_lateness = 1;
  EXPECT_TRUE(spec.emits_more_than_once());
  spec.emit = EmitMode::kFinalOnly;
  EXPECT_FALSE(spec.emits_more_than_once());
}

}  // namespace
}  // namespace wrackline::testing

#include "wrackline/job/plan.h"

#include "job/fixture.h"
#include <gtest/gtest.h>

namespace wrackline {
namespace {

testing::AssertionResult says(const Status& status, const std::vector<std::string>& words) {
  if (status.code() != Code::kInvalidArgument) return testing::AssertionFailure() << status.to_string();
  for (const std::string& word : words) {
    if (status.message().find(word) == std::string::npos) {
      return testing::AssertionFailure() << "no \"" << word << "\" in: " << status.message();
    }
  }
  return testing::AssertionSuccess();
}

struct PlanTest : testing::Test {
  Plan plan{"meters"};
  StreamRef read = *plan.read(reading_source());
};

TEST_F(PlanTest, MisspelledColumnNamesStepColumnAndNearest) {
  EXPECT_TRUE(says(plan.filter(read, {.column = "valeu", .compare = Compare::kGreater, .value = 1.0}, "").status(),
                   {"filter", "valeu", "value"}));
  WindowSpec spec = counting(10);
  spec.key_columns = {"metre"};
  EXPECT_TRUE(says(plan.window(read, spec, true, "hourly").status(), {"hourly", "metre", "meter"}));
  EXPECT_TRUE(says(plan.dedup(read, {.columns = {"ids"}, .within = 1}, "").status(), {"dedup", "ids", "id"}));
}

// rule: 5.16
TEST_F(PlanTest, WindowWithoutKeySaysHow) {
  EXPECT_TRUE(says(plan.window(read, counting(10), false, "").status(), {"key_by"}));
}

// rule: 4.18
TEST_F(PlanTest, WindowBelowOneThatEmitsTwiceIsRefused) {
  const StreamRef first = *plan.window(read, counting(10, /*allowed_lateness=*/5), true, "");
  WindowSpec second = WindowSpec::tumbling(20);
  second.key_columns = {"meter"};
  second.aggregates = {{"n", "sum", "n"}};
  EXPECT_TRUE(says(plan.window(first, second, true, "").status(), {"window_2", "allowed_lateness"}));
}

TEST_F(PlanTest, SecondStepOfOneKindGetsANumber) {
  EXPECT_EQ(plan.node(plan.dedup(read, {.columns = {"id"}, .within = 1}, "")->node).name, "dedup");
  EXPECT_EQ(plan.node(plan.dedup(read, {.columns = {"id"}, .within = 1}, "")->node).name, "dedup_2");
  EXPECT_TRUE(says(plan.dedup(read, {.columns = {"id"}, .within = 1}, "dedup_2").status(), {"dedup_2"}));
}

TEST_F(PlanTest, WritingToTheInputOrTwiceToATopicIsRefused) {
  EXPECT_TRUE(says(plan.write({.streams = {read}, .topic = "readings"}), {"own output"}));
  ASSERT_TRUE(plan.write({.streams = {read}, .topic = "copy"}).ok());
  EXPECT_TRUE(says(plan.write({.streams = {read}, .topic = "copy"}), {"already"}));
}

// rule: 6.1
TEST_F(PlanTest, DedupTakesTheLargestLatenessBelowIt) {
  constexpr Millis kDay = 86'400'000;
  const StreamRef day = *plan.dedup(read, {.columns = {"id"}, .within = kDay}, "day");
  const StreamRef filtered = *plan.filter(day, {.column = "value", .compare = Compare::kGreater, .value = 0.0}, "");
  ASSERT_TRUE(plan.window(filtered, counting(1000, 2 * kDay), true, "").ok());
  const StreamRef minute = *plan.dedup(read, {.columns = {"id"}, .within = 60'000}, "minute");
  ASSERT_TRUE(plan.finish().ok());
  EXPECT_EQ(std::get<DedupSpec>(plan.node(day.node).spec).allowed_lateness, 2 * kDay);
  EXPECT_EQ(std::get<DedupSpec>(plan.node(minute.node).spec).allowed_lateness, 60'000);  // min(D, 1 h)
}

TEST_F(PlanTest, OnlyUsedColumnsAreStoredUnlessRowsAreWritten) {
  const StreamRef window = *plan.window(read, counting(10), true, "");
  ASSERT_TRUE(plan.write({.streams = {window}, .topic = "results"}).ok());
  ASSERT_TRUE(plan.finish().ok());
  EXPECT_EQ(plan.used_columns(), (std::vector<bool>{false, true, true, true}));
  ASSERT_TRUE(plan.write({.streams = plan.late_streams(), .topic = "late"}).ok());
  EXPECT_EQ(plan.used_columns(), std::vector<bool>(4, true));
}

TEST_F(PlanTest, RowsOfARollingWindowHaveAllColumnsOfTheirRecords) {
  WindowSpec spec = counting(10);
  spec.kind = RollingWindow{10};
  const StreamRef window = *plan.window(read, spec, true, "");
  ASSERT_TRUE(plan.write({.streams = {window}, .topic = "results"}).ok());
  ASSERT_TRUE(plan.finish().ok());
  EXPECT_EQ(plan.used_columns(), std::vector<bool>(4, true));
}

TEST_F(PlanTest, DeadLettersAlwaysHaveATopic) {
  ASSERT_TRUE(plan.finish().ok());
  ASSERT_TRUE(plan.finish().ok());
  ASSERT_EQ(plan.sinks().size(), 1);
  EXPECT_EQ(plan.sinks()[0].topic, "meters.dead");
}

TEST_F(PlanTest, HashFollowsWhatShapesTheAnswer) {
  Plan other("meters");
  const StreamRef other_read = *other.read(reading_source());
  EXPECT_EQ(plan.hash(), other.hash());
  ASSERT_TRUE(plan.window(read, counting(10), true, "").ok());
  ASSERT_TRUE(other.window(other_read, counting(11), true, "").ok());
  EXPECT_NE(plan.hash(), other.hash());
}

}  // namespace
}  // namespace wrackline

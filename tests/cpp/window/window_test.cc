// Single behaviours of a window step, each worked out by hand.
#include "wrackline/window/window.h"

#include <algorithm>
#include <limits>
#include <map>
#include <string_view>

#include "step_harness.h"
#include <gtest/gtest.h>

#include "wrackline/core/logging.h"
#include "wrackline/time/zones.h"

namespace wrackline::testing {
namespace {

constexpr int64_t kLargest = std::numeric_limits<int64_t>::max();

const SchemaPtr kInput =
    std::make_shared<const Schema>(std::vector<Field>{{"k", Type::kString, true}, {"n", Type::kInt64, true}});

struct Fixture {
  explicit Fixture(WindowSpec the_spec, SchemaPtr input = kInput) : spec(std::move(the_spec)), maker(std::move(input)) {
    if (spec.key_columns.empty()) spec.key_columns = {"k"};
    if (spec.aggregates.empty()) spec.aggregates = {{"rows", "count", ""}, {"n", "sum", "n"}};
    step = make_window_step("w", spec, maker.schema).value();
  }
  void add(Millis time, Scalar key, Scalar n = int64_t{1}) { maker.add(time, {std::move(key), n}); }
  void move(Millis watermark) { maker.move(watermark); }
  void flush() { push(*step, maker.take(), out); }
  // (key, start, revision, pane, rows) of each result.
  std::vector<std::string> panes() const {
    std::vector<std::string> result;
    for (const Output& o : out.main) {
      const auto text = [](const Scalar& s) {
        if (const auto* i = std::get_if<int64_t>(&s)) return std::to_string(*i);
        if (const auto* t = std::get_if<Timestamp>(&s)) return std::to_string(t->millis);
        if (const auto* x = std::get_if<std::string>(&s)) return *x;
        return std::string("null");
      };
      result.push_back(text(o.row[0]) + " " + text(o.row[1]) + " r" + text(o.row[3]) + " " + text(o.row[4]) +
                       " n=" + text(o.row[5]));
    }
    return result;
  }
  WindowSpec spec;
  BatchMaker maker;
  std::unique_ptr<Step> step;
  CollectingEmitter out;
};

using Panes = std::vector<std::string>;
const std::string kA = "a";
const std::string kB = "b";

// rule: 2.2 4.1
TEST(WindowTest, FiresWhenTheWatermarkReachesTheEndAfterTheRecordThatMovedIt) {
  Fixture w(WindowSpec::tumbling(10));
  w.add(3, kA);
  w.move(3);
  w.add(10, kA);  // moves W to 10: [0, 10) fires, [10, 20) holds this one
  w.move(10);
  w.flush();
  EXPECT_EQ(Panes({"a 0 r0 on_time n=1"}), w.panes());
  EXPECT_EQ((std::vector<Millis>{3, 10}), w.out.moves);
  EXPECT_EQ(9, w.out.main[0].event_time);
  EXPECT_EQ(1, w.step->counts().held);
}

// rule: 5.1
TEST(WindowTest, StartsAreFlooredBelowZero) {
  Fixture w(WindowSpec::tumbling(10, 3));
  w.add(-8, kA);
  w.add(-7, kA);
  w.add(2, kA);
  w.move(kPlusInfinity);
  w.flush();
  EXPECT_EQ(Panes({"a -17 r0 on_time n=1", "a -7 r0 on_time n=2"}), w.panes());
}

// rule: 4.17
TEST(WindowTest, WatermarkBelowIsLowerByTheAllowedLatenessAndInfinityStays) {
  WindowSpec spec = WindowSpec::tumbling(10);
  spec.allowed_lateness = 4;
  Fixture w(spec);
  w.add(1, kA);
  w.move(1);
  w.move(11);
  w.move(kPlusInfinity);
  w.flush();
  EXPECT_EQ((std::vector<Millis>{-3, 7, kPlusInfinity}), w.out.moves);
  EXPECT_EQ(0, w.step->counts().held);
}

// rule: 4.6
TEST(WindowTest, RevisionsCountLatePanesThatACommitCoalesced) {
  WindowSpec spec = WindowSpec::tumbling(10);
  spec.allowed_lateness = 100;
  Fixture w(spec);
  w.add(1, kA);
  w.move(20);
  w.add(2, kA);
  w.add(3, kA);
  w.add(4, kB);
  w.flush();
  EXPECT_EQ(3, w.step->counts().held);
  commit(*w.step, w.out);
  w.add(5, kA);
  w.flush();
  commit(*w.step, w.out);
  EXPECT_EQ(Panes({"a 0 r0 on_time n=1", "a 0 r2 late n=3", "b 0 r0 late n=1", "a 0 r3 late n=4"}), w.panes());
  EXPECT_EQ(0, w.step->counts().held);
}

// rule: 4.5
TEST(WindowTest, DueLatePanesComeOutBeforeTheirStateIsFreed) {
  WindowSpec spec = WindowSpec::tumbling(10);
  spec.allowed_lateness = 5;
  Fixture w(spec);
  w.add(1, kA);
  w.move(12);
  w.add(2, kA);
  w.add(12, kA);
  w.move(25);  // frees [0, 10), fires [10, 20)
  w.add(3, kA);
  w.flush();
  EXPECT_EQ(Panes({"a 0 r0 on_time n=1", "a 0 r1 late n=2", "a 10 r0 on_time n=1"}), w.panes());
  ASSERT_EQ(1U, w.out.late.size());
  EXPECT_TRUE(same(Scalar(int64_t{11}), w.out.late[0].row[2]));  // 25 - (10 + 5) + 1
}

// rule: 3.2
TEST(WindowTest, HoppingRecordCountsInTheWindowsItDoesNotMiss) {
  WindowSpec spec = WindowSpec::hopping(20, 10);
  spec.late_windows_rows = true;
  Fixture w(spec);
  w.add(25, kA);
  w.move(25);
  w.add(5, kA);   // [-10, 10) and [0, 20) are both over
  w.add(15, kB);  // misses [0, 20), counts in [10, 30)
  w.move(kPlusInfinity);
  w.flush();
  EXPECT_EQ(Panes({"b 10 r0 on_time n=1", "a 10 r0 on_time n=1", "a 20 r0 on_time n=1"}), w.panes());
  EXPECT_EQ(1, w.step->counts().late);
  EXPECT_EQ(1, w.step->counts().windows_missed);
  ASSERT_EQ(2U, w.out.late.size());
  EXPECT_TRUE(same(Scalar(Timestamp{0}), w.out.late[0].row[4])) << "of two missed ones the one missed by least";
  EXPECT_TRUE(same(Scalar(int64_t{6}), w.out.late[0].row[2]));
}

// rule: 7.7
TEST(WindowTest, ASumThatDoesNotFitIsADeadPaneThatUsesUpItsRevision) {
  WindowSpec spec = WindowSpec::tumbling(10);
  spec.allowed_lateness = 100;
  spec.emit_late_each = true;
  Fixture w(spec);
  w.add(1, kA, kLargest);
  w.add(1, kB, int64_t{5});
  w.add(2, kA, int64_t{1});
  w.move(10);
  w.add(3, kA, int64_t{-1});
  w.flush();
  EXPECT_EQ(Panes({"b 0 r0 on_time n=1", "a 0 r1 late n=3"}), w.panes());
  ASSERT_EQ(1U, w.out.dead_panes.size());
  const auto& message = std::get<std::string>(w.out.dead_panes[0].row[1]);
  EXPECT_NE(std::string::npos, message.find("k='a'")) << message;
  EXPECT_NE(std::string::npos, message.find("[0, 10)")) << message;
  EXPECT_EQ(9, w.out.dead_panes[0].event_time);
  const StepCounts& counts = w.step->counts();
  EXPECT_EQ(4, counts.out);
  EXPECT_EQ(3, counts.panes);
  EXPECT_EQ(1, counts.panes_dead);
  EXPECT_EQ(2, counts.rows_out);
}

// rule: 7.8
TEST(WindowTest, WideSumsHoldWhatInt64CannotHold) {
  WindowSpec spec = WindowSpec::tumbling(10);
  spec.aggregates = {{"n", "sum", "n", true}};
  Fixture w(spec);
  w.add(1, kA, kLargest);
  w.add(1, kA, kLargest);
  w.move(10);
  w.flush();
  ASSERT_EQ(1U, w.out.main.size());
  EXPECT_TRUE(same(Scalar(std::string("18446744073709551614")), w.out.main[0].row[5]));
}

// rule: 5.17
TEST(WindowTest, NullKeysAreDeadLettersUnlessGrouped) {
  Fixture w(WindowSpec::tumbling(10));
  w.add(1, {});
  w.add(1, kA);
  w.move(10);
  w.add(1, {});  // also when it is late
  w.flush();
  EXPECT_EQ(Panes({"a 0 r0 on_time n=1"}), w.panes());
  EXPECT_EQ(2, w.step->counts().dead_lettered);
  EXPECT_TRUE(same(Scalar(std::string("null_key")), w.out.dead[0].row[0]));

  WindowSpec spec = WindowSpec::tumbling(10);
  spec.null_key_group = true;
  Fixture grouped(spec);
  grouped.add(1, {});
  grouped.add(2, {});
  grouped.move(10);
  grouped.flush();
  EXPECT_EQ(Panes({"null 0 r0 on_time n=2"}), grouped.panes());
}

// rule: 5.16
TEST(WindowTest, NoKeyColumnsAreTheWholeStream) {
  WindowSpec spec = WindowSpec::tumbling(10);
  spec.aggregates = {{"rows", "count", ""}};
  const SchemaPtr input = kInput;
  auto step = make_window_step("w", spec, input).value();
  BatchMaker maker(input);
  maker.add(1, {kA, int64_t{1}});
  maker.add(2, {{}, int64_t{1}});
  maker.move(10);
  CollectingEmitter out;
  push(*step, maker.take(), out);
  ASSERT_EQ(1U, out.main.size());
  EXPECT_TRUE(same(Scalar(int64_t{2}), out.main[0].row[4]));
}

TEST(WindowTest, AMoveOverAHugeGapDoesNotVisitTheEmptyWindows) {
  WindowSpec spec = WindowSpec::hopping(1000, 1);
  Fixture w(spec);
  w.add(kMinEventTime, kA);
  w.move(kMinEventTime);
  w.add(kEndEventTime - 1, kA);
  w.move(kEndEventTime - 1);
  w.flush();
  EXPECT_EQ(1000U, w.out.main.size());
}

TEST(WindowTest, ManyKeysComeOutInBoundedBatches) {
  WindowSpec spec = WindowSpec::hopping(20, 10);
  Fixture w(spec);
  for (int i = 0; i < 10'000; ++i) w.add(i % 20, "a rather long key, number " + std::to_string(i), int64_t{i});
  for (int i = 0; i < 10'000; ++i) w.add(i % 20, "a rather long key, number " + std::to_string(i), int64_t{i});
  w.move(kPlusInfinity);
  w.flush();
  EXPECT_EQ(20'000U, w.out.main.size());
  EXPECT_LE(w.out.largest, 4096);
  int64_t sum = 0;
  for (const Output& output : w.out.main) sum += std::get<int64_t>(output.row[6]);
  EXPECT_EQ(int64_t{2} * 2 * 9'999 * 10'000 / 2, sum);
}

TEST(WindowTest, IntegerKeysOfAnyValueStayApart) {
  const auto input =
      std::make_shared<const Schema>(std::vector<Field>{{"k", Type::kInt64, false}, {"n", Type::kInt64, true}});
  Fixture w(WindowSpec::tumbling(10), input);
  for (int64_t round = 0; round < 2; ++round) {
    for (int64_t i = 0; i < 5000; ++i) w.add(1, (i - 2500) * (kLargest / 5000), i);
  }
  w.move(10);
  w.flush();
  ASSERT_EQ(5000U, w.out.main.size());
  for (size_t i = 0; i < 5000; ++i) {
    EXPECT_TRUE(same(Scalar((static_cast<int64_t>(i) - 2500) * (kLargest / 5000)), w.out.main[i].row[0]));
    EXPECT_TRUE(same(Scalar(int64_t{2} * static_cast<int64_t>(i)), w.out.main[i].row[6]));
  }
}

// Columns that cannot be null have loops of their own, alone and beside other aggregates.
template <typename T>
void check_required_column(Type type, const std::vector<T>& values, bool with_others) {
  const auto input = std::make_shared<const Schema>(std::vector<Field>{{"k", Type::kInt64, false}, {"v", type, false}});
  WindowSpec spec = WindowSpec::hopping(20, 10);
  spec.key_columns = {"k"};
  spec.aggregates = {
      {"n", "count", ""}, {"sum", "sum", "v"}, {"low", "min", "v"}, {"high", "max", "v"}, {"mean", "mean", "v"}};
  if (with_others) spec.aggregates.push_back({"last", "last", "v"});
  auto step = make_window_step("w", spec, input).value();
  BatchMaker maker(input);
  std::map<int64_t, std::vector<T>> expected;
  for (size_t i = 0; i < values.size(); ++i) {
    const auto key = static_cast<int64_t>(i * i % 7);
    maker.add(static_cast<Millis>(i % 20), {key, values[i]});
    expected[key].push_back(values[i]);
  }
  maker.move(20);  // fires [-10, 10) and [0, 20): the latter holds all
  CollectingEmitter out;
  push(*step, maker.take(), out);
  size_t checked = 0;
  for (const Output& output : out.main) {
    if (!same(output.row[1], Scalar(Timestamp{0}))) continue;
    const std::vector<T>& mine = expected.at(std::get<int64_t>(output.row[0]));
    std::vector<T> numbers;
    T sum{};
    for (const T value : mine) {
      sum += value;
      if (value == value) numbers.push_back(value);
    }
    EXPECT_TRUE(same(Scalar(static_cast<int64_t>(mine.size())), output.row[5]));
    if (sum == sum) {
      EXPECT_TRUE(Scalar(sum) == output.row[6]);
      EXPECT_DOUBLE_EQ(static_cast<double>(sum) / static_cast<double>(mine.size()), std::get<double>(output.row[9]));
    } else {
      EXPECT_TRUE(std::get<T>(output.row[6]) != std::get<T>(output.row[6])) << "NaN";
    }
    if (numbers.empty()) {
      EXPECT_TRUE(std::get<T>(output.row[7]) != std::get<T>(output.row[7])) << "nothing but NaN";
    } else {
      EXPECT_TRUE(Scalar(*std::min_element(numbers.begin(), numbers.end())) == output.row[7]);
      EXPECT_TRUE(Scalar(*std::max_element(numbers.begin(), numbers.end())) == output.row[8]);
    }
    ++checked;
  }
  EXPECT_EQ(expected.size(), checked);
}

TEST(WindowTest, RequiredColumnsGiveTheSameAnswers) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  std::vector<int64_t> integers;
  std::vector<double> floats;
  std::vector<double> with_nan;
  for (int64_t i = 0; i < 1000; ++i) {
    integers.push_back((i * 7919) % 2003 - 1000);
    floats.push_back(static_cast<double>(integers.back()) / 4);
    with_nan.push_back(i * i % 7 == 1 || i % 31 == 0 ? nan : floats.back());  // of one key all
  }
  for (const bool with_others : {false, true}) {
    check_required_column(Type::kInt64, integers, with_others);
    check_required_column(Type::kFloat64, floats, with_others);
    check_required_column(Type::kFloat64, with_nan, with_others);
  }
}

TEST(WindowTest, AFreedWindowStaysClosedWhenMoreLatenessIsAllowed) {
  Fixture w(WindowSpec::tumbling(10));
  w.add(5, kA);
  w.move(12);
  w.add(15, kA);
  w.flush();
  commit(*w.step, w.out);
  Checkpoint checkpoint;
  checkpoint.take(*w.step);

  WindowSpec spec = w.spec;
  spec.allowed_lateness = 1000;
  auto changed = make_window_step("w", spec, kInput).value();
  checkpoint.restore(*changed);
  CollectingEmitter out;
  BatchMaker maker(kInput);
  maker.start(12);
  maker.add(6, {kA, int64_t{1}});
  maker.add(12, {kA, int64_t{1}});
  maker.move(20);
  push(*changed, maker.take(), out);
  ASSERT_EQ(1U, out.late.size());
  EXPECT_TRUE(same(Scalar(int64_t{1}), out.late[0].row[2])) << "late_by_ms is at least 1";
  ASSERT_EQ(1U, out.main.size());
  EXPECT_TRUE(same(Scalar(int64_t{2}), out.main[0].row[5]));
}

// State of a tz database in which Berlin's day of 2 March 2026 began an hour earlier.
TEST(WindowTest, OpenCalendarWindowsKeepTheEdgesOfOtherZoneRulesAndItIsSaid) {
  constexpr Millis kHour = 3'600'000;
  constexpr Millis kDay = 1'772'406'000'000;  // 2026-03-02T00:00+01:00
  Fixture w(WindowSpec::of(CalendarWindow{.unit = CalendarUnit::kDay, .zone = "Europe/Berlin"}));
  w.add(kDay + 5 * kHour, kA);
  w.move(kDay + 5 * kHour);
  w.flush();
  Checkpoint checkpoint;
  checkpoint.take(*w.step);
  auto& units = checkpoint.units();
  const auto unit_of = [](Millis start) {
    return "s:" + std::to_string(start) + ":" + std::to_string(start + 24 * kHour);
  };
  ASSERT_TRUE(units.contains(unit_of(kDay)));
  units[unit_of(kDay - kHour)] = units.at(unit_of(kDay));
  units.erase(unit_of(kDay));
  Bytes& meta = units.at("meta")[0].second;
  const std::string_view now = tz_version();
  const auto at = std::search(meta.begin(), meta.end(), now.begin(), now.end());
  ASSERT_NE(at, meta.end());
  std::copy_n("1999a", 5, at);

  std::vector<std::string> lines;
  set_log_hook([&](LogLevel, std::string_view line) { lines.emplace_back(line); });
  auto step = make_window_step("w", w.spec, kInput).value();
  checkpoint.restore(*step);
  set_log_hook(nullptr);
  ASSERT_EQ(1U, lines.size());
  EXPECT_EQ("step 'w': its windows were made with tz database 1999a, now it is " + std::string(now) +
                ": open windows keep their edges",
            lines[0]);
  w.out = CollectingEmitter();
  w.step = std::move(step);
  w.maker.start(kDay + 5 * kHour);
  w.add(kDay + 23 * kHour + 1, kB);  // the old day has ended then, that of today's rules has not
  w.move(kDay + 23 * kHour + 1);
  w.add(kDay + 24 * kHour, kB);
  w.move(kDay + 24 * kHour);
  w.flush();
  EXPECT_EQ(
      Panes({"a " + std::to_string(kDay - kHour) + " r0 on_time n=1", "b " + std::to_string(kDay) + " r0 on_time n=1"}),
      w.panes());
}

TEST(WindowTest, FreezesHandOutWhatChanged) {
  Fixture w(WindowSpec::tumbling(1'000'000));
  for (int i = 0; i < 100'000; ++i) w.add(i, "key " + std::to_string(i));
  w.flush();
  Checkpoint checkpoint;
  checkpoint.take(*w.step);
  const size_t all = checkpoint.bytes_written;
  checkpoint.take(*w.step);
  EXPECT_LT(checkpoint.bytes_written - all, 100U) << "nothing changed";
  w.add(5, "key 7");
  w.flush();
  checkpoint.take(*w.step);
  EXPECT_LT(checkpoint.bytes_written - all, all / 20) << "one key changed";
  w.step->changes_lost();
  const size_t before = checkpoint.bytes_written;
  checkpoint.take(*w.step);
  EXPECT_GE(checkpoint.bytes_written - before, all) << "after a lost freeze all of it";
  auto again = make_window_step("w", w.spec, kInput).value();
  checkpoint.restore(*again);
  CollectingEmitter out;
  BatchMaker maker(kInput);
  maker.move(kPlusInfinity);
  push(*again, maker.take(), out);
  ASSERT_EQ(100'000U, out.main.size());
  EXPECT_TRUE(same(Scalar(int64_t{2}), out.main[7].row[5]));
}

TEST(WindowTest, RefusesStateThatIsNotItsOwn) {
  Fixture w(WindowSpec::tumbling(10));
  for (int i = 0; i < 100; ++i) w.add(5, "key number " + std::to_string(i * i));
  w.flush();
  Checkpoint checkpoint;
  checkpoint.take(*w.step);
  const Bytes& block = checkpoint.units().at("s:0:10")[0].second;
  const std::string good(reinterpret_cast<const char*>(block.data()), block.size());
  for (size_t cut = 0; cut < good.size(); cut += 7) {
    auto step = make_window_step("w", w.spec, kInput).value();
    EXPECT_EQ(Code::kCorruption, step->restore("s:0:10", true, good.substr(0, cut)).code()) << cut;
  }
  auto step = make_window_step("w", w.spec, kInput).value();
  EXPECT_EQ(Code::kCorruption, step->restore("s:3:13", true, good).code()) << "no slice starts at 3";
  EXPECT_EQ(Code::kCorruption, step->restore("x", true, good).code());
  std::string newer = good;
  newer[0] = 9;
  EXPECT_EQ(Code::kCorruption, step->restore("s:0:10", true, newer).code());
}

TEST(WindowTest, StateOfAKeyInASliceStaysSmall) {
  const auto input =
      std::make_shared<const Schema>(std::vector<Field>{{"k", Type::kString, false}, {"x", Type::kFloat64, false}});
  WindowSpec spec = WindowSpec::tumbling(10);
  spec.key_columns = {"k"};
  spec.aggregates = {{"n", "count", ""}, {"sum", "sum", "x"}, {"low", "min", "x"}, {"high", "max", "x"}};
  auto step = make_window_step("w", spec, input).value();
  BatchMaker maker(input);
  const int keys = 200'000;
  for (int i = 0; i < keys; ++i) {
    std::string key = std::to_string(i);
    key.insert(0, 16 - key.size(), 'k');
    maker.add(5, {key, 1.0});
  }
  CollectingEmitter out;
  push(*step, maker.take(), out);
  EXPECT_LE(step->state_bytes() / keys, 96);
}

}  // namespace
}  // namespace wrackline::testing

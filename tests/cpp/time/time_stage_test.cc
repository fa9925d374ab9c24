#include "wrackline/time/time_stage.h"

#include <bit>
#include <cmath>
#include <limits>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "wrackline/core/logging.h"
#include "wrackline/core/step.h"

namespace wrackline {
namespace {

constexpr Millis kT = 1'700'000'000'000;

struct Refused {
  int64_t row;
  std::string reason;
  std::string message;
};

TimeSpec bounded(std::string column = "ts") {
  TimeSpec spec;
  spec.column = std::move(column);
  spec.topic = false;
  return spec;
}

TimeSpec topic(std::string column = "ts") {
  TimeSpec spec = bounded(std::move(column));
  spec.topic = true;
  return spec;
}

WatermarkSpec behind_by(Millis out_of_orderness) { return {.out_of_orderness = out_of_orderness}; }

TimeStage make(TimeSpec time, WatermarkSpec watermark, const Schema& schema) {
  Result<TimeStage> stage = TimeStage::make(std::move(time), std::move(watermark), schema);
  EXPECT_TRUE(stage.ok()) << stage.status().message();
  return std::move(stage).value();
}

std::string error(TimeSpec time, WatermarkSpec watermark, const Schema& schema) {
  const Result<TimeStage> stage = TimeStage::make(std::move(time), std::move(watermark), schema);
  EXPECT_FALSE(stage.ok());
  EXPECT_EQ(stage.status().code(), Code::kInvalidArgument);
  return stage.status().message();
}

using Value = std::optional<int64_t>;

ColumnPtr int64s(const std::vector<Value>& values, Type type = Type::kInt64) {
  auto column = std::make_shared<Column>(type);
  for (const Value& value : values) {
    if (value)
      column->append_int64(*value);
    else
      column->append_null();
  }
  return column;
}

ColumnPtr strings(const std::vector<std::string>& values) {
  auto column = std::make_shared<Column>(Type::kString);
  for (const std::string& value : values) column->append_string(value);
  return column;
}

Batch batch_of(const Schema& schema, std::vector<ColumnPtr> columns, const std::vector<Millis>& log_timestamps = {}) {
  Batch batch;
  batch.schema = std::make_shared<const Schema>(schema);
  batch.length = columns[0]->length();
  batch.columns = std::move(columns);
  auto records = std::make_shared<Records>();
  for (int64_t i = 0; i < batch.length; ++i) {
    records->add(std::nullopt, "{}", log_timestamps.empty() ? kT : log_timestamps[static_cast<size_t>(i)]);
    batch.record_of.push_back(static_cast<uint32_t>(i));
  }
  batch.records = std::move(records);
  return batch;
}

const Schema kInts({{.name = "ts", .type = Type::kInt64, .nullable = true}});

std::vector<Refused> apply(TimeStage& stage, Batch& batch, TimeInput input = {}) {
  std::vector<Refused> refused;
  stage.apply(batch, input, [&](int64_t row, std::string_view reason, std::string message) {
    refused.push_back({row, std::string(reason), std::move(message)});
  });
  return refused;
}

std::vector<Refused> feed(TimeStage& stage, const std::vector<Value>& values, Batch* out = nullptr, Millis clock = 0) {
  Batch batch = batch_of(kInts, {int64s(values)});
  std::vector<Refused> refused = apply(stage, batch, {.clock_now = clock});
  if (out != nullptr) *out = std::move(batch);
  return refused;
}

std::vector<Millis> times(const Batch& batch) { return {batch.event_times.begin(), batch.event_times.end()}; }

// --- event time --------------------------------------------------------------------------------

// rule: 2.2
TEST(TimeStage, MovesAreAfterTheRowThatMoved) {
  TimeStage stage = make(bounded(), behind_by(10), kInts);
  Batch batch;
  EXPECT_TRUE(feed(stage, {12'345, 12'300, 12'350, 12'350, 12'280, 12'351}, &batch).empty());
  EXPECT_EQ(batch.watermark, kMinusInfinity);
  const std::vector<Move> moves = {{1, 12'335}, {3, 12'340}, {6, 12'341}};
  EXPECT_EQ(batch.moves, moves);
  EXPECT_EQ(stage.watermark(), 12'341);
  feed(stage, {12'351, 12'352}, &batch);
  EXPECT_EQ(batch.watermark, 12'341);
  const std::vector<Move> more = {{2, 12'342}};
  EXPECT_EQ(batch.moves, more);
}

// rule: 1.12 1.14
TEST(TimeStage, NullsAreRefusedAndNeverMoveTheWatermark) {
  TimeStage stage = make(bounded(), behind_by(0), kInts);
  Batch batch;
  const std::vector<Refused> refused = feed(stage, {std::nullopt, 5, std::nullopt, 7}, &batch);
  ASSERT_EQ(refused.size(), 2U);
  EXPECT_EQ(refused[0].row, 0);
  EXPECT_EQ(refused[1].row, 2);
  EXPECT_EQ(refused[0].reason, reason::kTimestamp);
  EXPECT_EQ(times(batch), (std::vector<Millis>{5, 7}));
  EXPECT_EQ(batch.length, 2);
  EXPECT_EQ(batch.record_of[0], 1U);
  EXPECT_EQ(batch.record_of[1], 3U);
  EXPECT_EQ(batch.moves, (std::vector<Move>{{1, 5}, {2, 7}}));
}

// rule: 1.1 1.3
TEST(TimeStage, UnitsAreFlooredToMilliseconds) {
  TimeSpec spec = bounded();
  spec.unit = TimeUnit::kMicros;
  TimeStage stage = make(spec, behind_by(0), kInts);
  Batch batch;
  EXPECT_TRUE(feed(stage, {0, -1, 1'232'637'902'757'683}, &batch).empty());
  EXPECT_EQ(times(batch), (std::vector<Millis>{0, -1, 1'232'637'902'757}));
}

// rule: 1.3
TEST(TimeStage, FloatsOfSecondsKeepTheirFraction) {
  const Schema schema({{.name = "ts", .type = Type::kFloat64}});
  TimeSpec spec = bounded();
  spec.unit = TimeUnit::kSeconds;
  TimeStage stage = make(spec, behind_by(0), schema);
  auto column = std::make_shared<Column>(Type::kFloat64);
  for (const double value : {462.125, std::nan(""), 9.875, std::numeric_limits<double>::infinity(), 1e300})
    column->append_float64(value);
  Batch batch = batch_of(schema, {column});
  EXPECT_EQ(apply(stage, batch).size(), 3U);
  EXPECT_EQ(times(batch), (std::vector<Millis>{462'125, 9'875}));
}

// rule: 1.2 1.12
TEST(TimeStage, StringsAreIsoAndOthersAreRefused) {
  const Schema schema({{.name = "ts", .type = Type::kString}});
  TimeStage stage = make(bounded(), behind_by(0), schema);
  Batch batch =
      batch_of(schema, {strings({"1935-06-15T11:09:17.000999+05:30", "not a time", "1970-01-01T00:00:02Z", ""})});
  const std::vector<Refused> refused = apply(stage, batch);
  EXPECT_EQ(times(batch), (std::vector<Millis>{-1'090'261'243'000, 2'000}));
  ASSERT_EQ(refused.size(), 2U);
  EXPECT_EQ(refused[0].reason, reason::kTimestamp);
  EXPECT_NE(refused[0].message.find("not a time"), std::string::npos);
}

TEST(TimeStage, ATimestampColumnHoldsTheAcceptedMillisecondsAfterwards) {
  const Schema schema({{.name = "ts", .type = Type::kTimestamp, .nullable = true}});
  TimeSpec spec = bounded();
  spec.unit = TimeUnit::kSeconds;
  TimeStage stage = make(spec, behind_by(0), schema);
  Batch batch = batch_of(schema, {int64s({1'000, 17, std::bit_cast<int64_t>(17.5), std::nullopt}, Type::kTimestamp)});
  TimeForms forms;
  for (const TimeForm form : {TimeForm::kMillis, TimeForm::kInteger, TimeForm::kFloat, TimeForm::kMillis})
    forms.push_back(form);
  EXPECT_EQ(apply(stage, batch, {.forms = &forms}).size(), 1U);
  EXPECT_EQ(times(batch), (std::vector<Millis>{1'000, 17'000, 17'500}));
  ASSERT_EQ(batch.column(0).length(), 3);
  EXPECT_EQ(batch.column(0).null_count(), 0);
  for (int64_t i = 0; i < 3; ++i) EXPECT_EQ(batch.column(0).int64s()[i], batch.event_times[static_cast<size_t>(i)]);
}

// rule: 1.2 1.7
TEST(TimeStage, LogTimestampAsEventTimeKnowsNoMaxFuture) {
  TimeStage stage = make(topic("_timestamp"), behind_by(5), kInts);
  Batch batch = batch_of(kInts, {int64s({1, 2, 3})}, {kT, kT + 1'000'000, 5});
  const std::vector<Refused> refused = apply(stage, batch);
  ASSERT_EQ(refused.size(), 1U);  // 5 is before 2020
  EXPECT_EQ(refused[0].row, 2);
  EXPECT_EQ(times(batch), (std::vector<Millis>{kT, kT + 1'000'000}));
}

// rule: 1.6 1.8
TEST(TimeStage, BoundsAreNotBeforeIncludedAndNotAfterExcluded) {
  TimeSpec spec = bounded();
  spec.not_before = 1'577'836'800'000;
  spec.not_after = 1'893'456'000'000;
  TimeStage stage = make(spec, behind_by(0), kInts);
  Batch batch;
  EXPECT_EQ(
      feed(stage, {1'577'836'799'999, 1'893'456'000'000, 1, 1'577'836'800'000, -1, 1'893'455'999'999}, &batch).size(),
      4U);
  EXPECT_EQ(times(batch), (std::vector<Millis>{1'577'836'800'000, 1'893'455'999'999}));
}

// rule: 1.6 1.8
TEST(TimeStage, DefaultsRefuse2100EverywhereAndBefore2020InTopics) {
  Batch batch;
  TimeStage of_bounded = make(bounded(), behind_by(0), kInts);
  EXPECT_EQ(feed(of_bounded, {-1, 0, kDefaultNotAfter, kDefaultNotAfter - 1}, &batch).size(), 1U);
  EXPECT_EQ(batch.length, 3);
  TimeSpec spec = topic();
  spec.max_future = kMaxDuration;
  TimeStage of_topic = make(spec, behind_by(0), kInts);
  EXPECT_EQ(feed(of_topic, {kDefaultTopicNotBefore - 1, kDefaultTopicNotBefore, kDefaultNotAfter}, &batch).size(), 2U);
  EXPECT_EQ(times(batch), (std::vector<Millis>{kDefaultTopicNotBefore}));
}

// rule: 1.11
TEST(TimeStage, NoEventTimeLiesOutsideTheYears1To9999WhateverTheBounds) {
  TimeSpec spec = bounded();
  spec.not_before = -kMaxDuration;
  spec.not_after = kMaxDuration;
  TimeStage stage = make(spec, behind_by(0), kInts);
  Batch batch;
  EXPECT_EQ(
      feed(stage, {kMinEventTime, kMinEventTime - 1, kEndEventTime - 1, kEndEventTime, INT64_MAX, INT64_MIN}, &batch)
          .size(),
      4U);
  EXPECT_EQ(times(batch), (std::vector<Millis>{kMinEventTime, kEndEventTime - 1}));
}

// rule: 1.7
TEST(TimeStage, MaxFutureComparesWithTheRecordsLogTimestamp) {
  TimeStage stage = make(topic(), behind_by(0), kInts);
  for (int round = 0; round < 2; ++round) {  // the second one takes the way of good batches
    Batch batch = batch_of(kInts, {int64s({kT, kT + 60'000, kT + 60'001})}, {kT, kT, kT});
    const std::vector<Refused> refused = apply(stage, batch);
    ASSERT_EQ(refused.size(), 1U);
    EXPECT_EQ(refused[0].row, 2);
    EXPECT_EQ(refused[0].reason, reason::kTimestamp);
    EXPECT_NE(refused[0].message.find("max_future"), std::string::npos);
    EXPECT_EQ(stage.watermark(), kT + 60'000);
  }
}

// rule: 1.7
TEST(TimeStage, ALogTimestampColumnServesBoundedInputs) {
  const Schema schema({{.name = "ts", .type = Type::kInt64}, {.name = "log", .type = Type::kInt64, .nullable = true}});
  TimeSpec spec = bounded();
  spec.max_future = 0;
  spec.log_timestamp = "log";
  TimeStage stage = make(spec, behind_by(0), schema);
  Batch batch = batch_of(schema, {int64s({100, 100, 100, 1'000'000}), int64s({99, 100, 101, std::nullopt})});
  const std::vector<Refused> refused = apply(stage, batch);
  ASSERT_EQ(refused.size(), 1U);
  EXPECT_EQ(refused[0].row, 0);
}

// rule: 1.7
TEST(TimeStage, ABoundedInputHasNoLogTimestampOfItsOwn) {
  TimeStage stage = make(bounded(), behind_by(0), kInts);
  Batch batch = batch_of(kInts, {int64s({kT + 10'000'000})}, {kT});
  EXPECT_TRUE(apply(stage, batch).empty());
}

// --- unit="auto" -------------------------------------------------------------------------------

TimeSpec any_unit() {
  TimeSpec spec = bounded();
  spec.unit = TimeUnit::kAuto;
  return spec;
}

// rule: 1.4 1.5
TEST(TimeStageAuto, TheFirstValueThatFitsDecides) {
  std::vector<std::string> lines;
  set_log_hook([&](LogLevel, std::string_view line) { lines.emplace_back(line); });
  TimeStage stage = make(any_unit(), behind_by(0), kInts);
  Batch batch;
  const std::vector<Refused> refused =
      feed(stage,
           {0, 1'683'751'732'017'152, 3'057'478'910'000, 946'684'800'000'000'000, -1, 946'684'800'000'000, 31'536'000},
           &batch);
  set_log_hook({});
  EXPECT_EQ(times(batch), (std::vector<Millis>{1'683'751'732'017, 946'684'800'000}));
  ASSERT_EQ(refused.size(), 5U);
  EXPECT_EQ(refused[0].reason, reason::kTimestamp);
  EXPECT_EQ(refused[1].reason, reason::kTimestampUnit);
  EXPECT_EQ(refused[2].reason, reason::kTimestampUnit);
  EXPECT_EQ(refused[3].reason, reason::kTimestamp);
  EXPECT_EQ(refused[4].reason, reason::kTimestamp);
  EXPECT_EQ(stage.decided_unit(), TimeUnit::kMicros);
  EXPECT_EQ(lines.size(), 1U);
}

// rule: 1.4 1.8
TEST(TimeStageAuto, DefaultBoundsAre2000And2100) {
  for (const auto& [value, fits] : std::vector<std::pair<int64_t, bool>>{{946'684'799, false},
                                                                         {946'684'800, true},
                                                                         {4'102'444'799, true},
                                                                         {4'102'444'800, false},
                                                                         {10'000'000'000, false},
                                                                         {946'684'800'000, true},
                                                                         {946'684'799'999'999, false},
                                                                         {20'000'000'000, false},
                                                                         {-1, false},
                                                                         {INT64_MAX, false}}) {
    TimeStage stage = make(any_unit(), behind_by(0), kInts);
    EXPECT_EQ(feed(stage, {value}).empty(), fits) << value;
  }
}

// rule: 1.5
TEST(TimeStageAuto, AValueThatMaxFutureRefusesStillDecides) {
  TimeSpec spec = topic();
  spec.unit = TimeUnit::kAuto;
  TimeStage stage = make(spec, behind_by(0), kInts);
  Batch batch = batch_of(kInts, {int64s({kT / 1'000 + 61, kT})}, {kT, kT});
  const std::vector<Refused> refused = apply(stage, batch);
  ASSERT_EQ(refused.size(), 2U);
  EXPECT_EQ(refused[0].reason, reason::kTimestamp);
  EXPECT_EQ(refused[1].reason, reason::kTimestampUnit);
}

// rule: 1.5
TEST(TimeStageAuto, TheDecisionOutlivesARestart) {
  TimeStage first = make(any_unit(), behind_by(0), kInts);
  feed(first, {kT});
  ByteWriter bytes;
  first.save(bytes);
  TimeStage second = make(any_unit(), behind_by(0), kInts);
  ByteReader reader(bytes.view());
  ASSERT_TRUE(second.restore(reader).ok());
  ASSERT_TRUE(reader.finish("time stage").ok());
  EXPECT_EQ(second.watermark(), kT);
  EXPECT_TRUE(second.accepted_any());
  ASSERT_EQ(feed(second, {kT / 1'000}).size(), 1U);
}

// --- the first records -------------------------------------------------------------------------

// rule: 1.9
TEST(TimeStageFirstRecords, AThousandRefusedNameTheSettingAndTheValues) {
  TimeStage stage = make(topic(), behind_by(0), kInts);
  feed(stage, std::vector<Value>(999, 1'700'000'000));
  EXPECT_TRUE(stage.stuck().ok());
  feed(stage, {1'700'000'000});
  const Status stuck = stage.stuck();
  EXPECT_EQ(stuck.code(), Code::kInvalidArgument);
  EXPECT_NE(stuck.message().find("not_before"), std::string::npos) << stuck.message();
  EXPECT_NE(stuck.message().find("1700000000"), std::string::npos) << stuck.message();
  EXPECT_NE(stuck.message().find("unit=\"s\""), std::string::npos) << stuck.message();
}

// rule: 1.9
TEST(TimeStageFirstRecords, OneAcceptedRecordBeforeIsEnough) {
  TimeStage stage = make(bounded(), behind_by(0), kInts);
  feed(stage, {5});
  feed(stage, std::vector<Value>(2'000, std::nullopt));
  EXPECT_TRUE(stage.stuck().ok());
  EXPECT_TRUE(stage.accepted_any());
  EXPECT_TRUE(stage.nothing_accepted().empty());
}

// rule: 1.9
TEST(TimeStageFirstRecords, BatchCutsDoNotShow) {
  for (const size_t undecoded_first : {size_t{0}, size_t{400}}) {
    for (const size_t refused : {size_t{999}, size_t{1'000}}) {
      // Records: `undecoded_first` that did not decode, then refused ones, then a good one.
      std::vector<Value> values(refused - undecoded_first, std::nullopt);
      values.emplace_back(5);
      Batch batch = batch_of(kInts, {int64s(values)});
      Buffer<uint32_t> undecoded;
      for (size_t i = 0; i < undecoded_first; ++i) undecoded.push_back(static_cast<uint32_t>(i));
      undecoded.push_back(static_cast<uint32_t>(refused + 1));  // behind the good one
      for (uint32_t& record : batch.record_of) record += static_cast<uint32_t>(undecoded_first);
      batch.records = nullptr;
      TimeStage stage = make(bounded(), behind_by(0), kInts);
      apply(stage, batch, {.undecoded = {undecoded.data(), undecoded.size()}});
      EXPECT_EQ(stage.stuck().ok(), refused == 999) << refused;
    }
  }
}

// rule: 1.10
TEST(TimeStageFirstRecords, ABoundedInputThatEndsWithNothingAcceptedHasAWarning) {
  TimeStage stage = make(bounded(), behind_by(0), kInts);
  EXPECT_TRUE(stage.nothing_accepted().empty());
  feed(stage, {std::nullopt, std::nullopt});
  EXPECT_FALSE(stage.nothing_accepted().empty());
}

// --- watermarks --------------------------------------------------------------------------------

const Schema kPunctuated({{.name = "ts", .type = Type::kInt64, .nullable = true},
                          {.name = "wm", .type = Type::kInt64, .nullable = true},
                          {.name = "mark", .type = Type::kBool, .nullable = true}});

// rule: 2.5
TEST(Watermark, AllStaysAtMinusInfinityUntilTheEnd) {
  TimeStage stage = make(bounded(), {.kind = WatermarkKind::kAll}, kInts);
  Batch batch;
  feed(stage, {1, 2, 3}, &batch);
  EXPECT_TRUE(batch.moves.empty());
  EXPECT_EQ(stage.watermark(), kMinusInfinity);
  stage.end();
  EXPECT_EQ(stage.watermark(), kPlusInfinity);
}

// rule: 2.21
TEST(Watermark, TheEndIsNeverStored) {
  TimeStage stage = make(bounded(), behind_by(3), kInts);
  feed(stage, {10});
  stage.end();
  ByteWriter bytes;
  stage.save(bytes);
  TimeStage other = make(bounded(), behind_by(3), kInts);
  ByteReader reader(bytes.view());
  ASSERT_TRUE(other.restore(reader).ok());
  EXPECT_EQ(other.watermark(), 7);
  EXPECT_FALSE(other.ended());
}

Batch punctuated(const std::vector<Value>& ts, const std::vector<Value>& wm,
                 const std::vector<std::optional<bool>>& mark) {
  auto marks = std::make_shared<Column>(Type::kBool);
  for (const std::optional<bool>& value : mark) {
    if (value)
      marks->append_bool(*value);
    else
      marks->append_null();
  }
  return batch_of(kPunctuated, {int64s(ts), int64s(wm), marks});
}

// rule: 2.7
TEST(Watermark, PunctuatedTakesTheColumnAndIgnoresLowerValuesAndNulls) {
  TimeStage stage = make(bounded(), {.kind = WatermarkKind::kPunctuated, .column = "wm"}, kPunctuated);
  Batch batch = punctuated({0, 25, 18, std::nullopt, 42, 60}, {0, 25, 18, 99, std::nullopt, 42},
                           {true, true, true, true, true, true});
  EXPECT_EQ(apply(stage, batch).size(), 1U);  // its 99 moves nothing
  EXPECT_EQ(batch.moves, (std::vector<Move>{{1, 0}, {2, 25}, {5, 42}}));
}

// rule: 2.7
TEST(Watermark, PunctuatedIfTakesTheRecordsOwnTime) {
  TimeStage stage = make(bounded(), {.kind = WatermarkKind::kPunctuatedIf, .column = "mark"}, kPunctuated);
  Batch batch = punctuated({10, 20, 15, 30, 5}, {1, 1, 1, 1, 1}, {false, true, true, std::nullopt, true});
  EXPECT_TRUE(apply(stage, batch).empty());
  EXPECT_EQ(batch.moves, (std::vector<Move>{{2, 20}}));
  EXPECT_EQ(stage.watermark(), 20);
}

// rule: 1.15
TEST(Watermark, RecordsFarBehindAreCounted) {
  WatermarkSpec spec = behind_by(0);
  spec.warn_late = 100;
  TimeStage stage = make(bounded(), spec, kInts);
  feed(stage, {1'000, 900, 899, 2'000, 1'899, 1'900});
  EXPECT_EQ(stage.late_warnings(), 2);
  feed(stage, {1'899});
  EXPECT_EQ(stage.late_warnings(), 3);
}

// --- idleness ----------------------------------------------------------------------------------

WatermarkSpec idle(Millis out_of_orderness, Millis after, IdleAdvance advance) {
  return {.out_of_orderness = out_of_orderness, .idle_after = after, .idle_advance = advance};
}

// rule: 2.15
TEST(Idle, HoldLeavesTheOnlyInputWhereItIs) {
  TimeStage stage = make(bounded(), idle(6, 100, IdleAdvance::kHold), kInts);
  stage.start(0);
  feed(stage, {10});
  EXPECT_EQ(stage.check_idle(99, true), std::nullopt);
  EXPECT_FALSE(stage.idle());
  EXPECT_EQ(stage.check_idle(100, false), std::nullopt);
  EXPECT_FALSE(stage.idle());
  EXPECT_EQ(stage.check_idle(100, true), std::nullopt);
  EXPECT_TRUE(stage.idle());
  feed(stage, {11}, nullptr, 100);
  EXPECT_FALSE(stage.idle());
}

// rule: 2.16
TEST(Idle, CloseGoesOnWithTheClockOnceAndAfterEachFurtherPeriod) {
  TimeStage stage = make(bounded(), idle(6, 100, IdleAdvance::kClose), kInts);
  stage.start(0);
  feed(stage, {1, 2});
  EXPECT_EQ(stage.watermark(), -4);
  const auto decided = [&](Millis clock) {
    const std::optional<Millis> w = stage.check_idle(clock, true);
    if (w.has_value()) {
      EXPECT_TRUE(stage.apply_decision(*w));
    }
    return w;
  };
  EXPECT_EQ(decided(99), std::nullopt);
  EXPECT_EQ(decided(100), 96);
  EXPECT_EQ(decided(150), std::nullopt);
  EXPECT_EQ(decided(200), 196);
  EXPECT_EQ(decided(300), 296);
  Batch batch;
  feed(stage, {17}, &batch, 300);
  EXPECT_EQ(batch.watermark, 296);
  EXPECT_TRUE(batch.moves.empty());
  EXPECT_EQ(decided(400), std::nullopt);  // 17 - 6 + 100 is no higher
  EXPECT_EQ(decided(700), 411);
  feed(stage, {418}, &batch, 700);
  EXPECT_EQ(batch.moves, (std::vector<Move>{{1, 412}}));
}

// rule: 2.16
TEST(Idle, CloseHasNothingToSayBeforeTheFirstRecord) {
  TimeStage stage = make(bounded(), idle(6, 100, IdleAdvance::kClose), kInts);
  stage.start(1'000);
  EXPECT_EQ(stage.check_idle(1'099, true), std::nullopt);
  EXPECT_EQ(stage.check_idle(5'000, true), std::nullopt);
  EXPECT_TRUE(stage.idle());
}

// rule: 2.17
TEST(Idle, RefusedRecordsNeitherEndItNorRestartItsClock) {
  TimeStage stage = make(bounded(), idle(0, 100, IdleAdvance::kClose), kInts);
  stage.start(0);
  feed(stage, {10});
  feed(stage, {std::nullopt}, nullptr, 60);
  EXPECT_EQ(stage.check_idle(100, true), 110);
  feed(stage, {std::nullopt}, nullptr, 100);
  EXPECT_TRUE(stage.idle());
}

// rule: 2.16
TEST(Idle, CloseOfPunctuatedCountsFromItsWatermark) {
  WatermarkSpec spec = {
      .kind = WatermarkKind::kPunctuated, .column = "wm", .idle_after = 100, .idle_advance = IdleAdvance::kClose};
  TimeStage stage = make(bounded(), spec, kPunctuated);
  stage.start(0);
  Batch batch = punctuated({500}, {30}, {true});
  apply(stage, batch);
  batch = punctuated({600}, {std::nullopt}, {true});
  apply(stage, batch, {.clock_now = 50});
  EXPECT_EQ(stage.check_idle(150, true), 180);
}

TEST(Idle, AClockThatIsSetBackDecidesNothing) {
  TimeStage stage = make(bounded(), idle(0, 100, IdleAdvance::kClose), kInts);
  stage.start(10'000);
  feed(stage, {10}, nullptr, 10'000);
  EXPECT_EQ(stage.check_idle(5'000, true), std::nullopt);
  EXPECT_EQ(stage.check_idle(5'099, true), std::nullopt);
  const std::optional<Millis> w = stage.check_idle(5'100, true);
  EXPECT_TRUE(!w || *w == 10);
}

// rule: 2.20
TEST(Idle, AnEndedInputIsNotIdle) {
  TimeStage stage = make(bounded(), idle(0, 100, IdleAdvance::kClose), kInts);
  stage.start(0);
  feed(stage, {10});
  stage.end();
  EXPECT_EQ(stage.check_idle(1'000, true), std::nullopt);
}

// rule: 2.19
TEST(Idle, AReplayedDecisionGivesTheSameWatermark) {
  TimeStage stage = make(bounded(), idle(6, 100, IdleAdvance::kClose), kInts);
  feed(stage, {10});
  EXPECT_TRUE(stage.apply_decision(96));
  EXPECT_EQ(stage.watermark(), 96);
  EXPECT_FALSE(stage.apply_decision(96));
  EXPECT_FALSE(stage.apply_decision(50));
}

// --- errors when the job is built --------------------------------------------------------------

TEST(TimeStageMake, NamesTheColumnThatWasProbablyMeant) {
  EXPECT_NE(error(bounded("tss"), behind_by(0), kInts).find("\"ts\""), std::string::npos);
}

// rule: 5.18
TEST(TimeStageMake, RefusesWhatCannotBe) {
  const Schema schema(
      {{.name = "ts", .type = Type::kInt64}, {.name = "b", .type = Type::kBool}, {.name = "s", .type = Type::kString}});
  error(bounded("b"), behind_by(0), schema);
  error(bounded("_timestamp"), behind_by(0), schema);
  error(topic(), {}, schema);
  error(topic(), {.kind = WatermarkKind::kAll}, schema);
  error(bounded(), behind_by(-1), schema);
  error(bounded(), behind_by(kMaxDuration + 1), schema);
  error(bounded(), {.kind = WatermarkKind::kPunctuated, .column = "s"}, schema);
  error(bounded(), {.kind = WatermarkKind::kPunctuated, .column = "none"}, schema);
  error(bounded(), {.kind = WatermarkKind::kPunctuatedIf, .column = "ts"}, schema);
  for (const Millis after : {Millis{0}, Millis{-1}, kMaxDuration + 1})
    error(bounded(), idle(0, after, IdleAdvance::kHold), schema);
  TimeSpec spec = bounded();
  spec.not_before = 10;
  spec.not_after = 10;
  error(spec, behind_by(0), schema);
  spec = bounded();
  spec.max_future = -1;
  error(spec, behind_by(0), schema);
  spec = bounded();
  spec.log_timestamp = "s";
  error(spec, behind_by(0), schema);
}

// rule: 1.4 5.18
TEST(TimeStageMake, AutoNeedsPositiveBoundsLessThanAFactorOf1000Apart) {
  const auto with = [](Millis not_before, Millis not_after) {
    TimeSpec spec = any_unit();
    spec.not_before = not_before;
    spec.not_after = not_after;
    return TimeStage::make(spec, behind_by(0), kInts).ok();
  };
  EXPECT_FALSE(with(0, 1'000'000));
  EXPECT_FALSE(with(-5, 1'000));
  EXPECT_FALSE(with(1'000, 1'000'001));
  EXPECT_TRUE(with(1'000, 999'999));
  EXPECT_TRUE(with(15'768'000'000, 3'153'600'000'000));
  EXPECT_TRUE(with(500'000'000'000, 100'000'000'000'000));
}

// --- random streams ----------------------------------------------------------------------------

// One record after the other, as semantics.md 1 and 2 say it.
struct Oracle {
  Millis not_before, not_after, max_future, bound;
  Millis watermark = kMinusInfinity;
  bool accepts(Value t, Millis logged) const {
    return t && *t >= not_before && *t < not_after && *t <= logged + max_future;
  }
};

TEST(TimeStageProperty, AnyCutGivesWhatOneRecordAtATimeGives) {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    const auto upto = [&](uint64_t n) { return static_cast<Millis>(random() % n); };
    TimeSpec spec = topic();
    spec.not_before = kT - upto(1'000);
    spec.not_after = kT + 1'000 + upto(5'000);
    spec.max_future = upto(500);
    const Millis bound = upto(3) == 0 ? 0 : upto(500);
    TimeStage stage = make(spec, behind_by(bound), kInts);
    Oracle oracle{*spec.not_before, *spec.not_after, spec.max_future, bound};

    const bool clean = seed % 3 == 0;  // mostly batches with nothing to refuse
    const int records = 1 + static_cast<int>(upto(400));
    Millis now = kT;
    for (int done = 0; done < records;) {
      const int count = std::min(records - done, 1 + static_cast<int>(upto(60)));
      done += count;
      std::vector<Value> values;
      std::vector<Millis> logged;
      for (int i = 0; i < count; ++i) {
        now += upto(20);
        logged.push_back(now);
        if (clean && upto(200) != 0)
          values.emplace_back(std::min(std::max(now - upto(300), *spec.not_before), *spec.not_after - 1));
        else if (upto(10) == 0)
          values.emplace_back(std::nullopt);
        else
          values.emplace_back(now - 300 + upto(1'000));
      }
      const Millis before = oracle.watermark;
      std::vector<Millis> accepted;
      std::vector<uint32_t> accepted_records;
      std::vector<int64_t> refused;
      std::vector<Move> moves;
      for (int i = 0; i < count; ++i) {
        const auto at = static_cast<size_t>(i);
        if (!oracle.accepts(values[at], logged[at])) {
          refused.push_back(i);
          continue;
        }
        accepted.push_back(*values[at]);
        accepted_records.push_back(static_cast<uint32_t>(i));
        if (*values[at] - bound > oracle.watermark) {
          oracle.watermark = *values[at] - bound;
          moves.push_back({static_cast<int64_t>(accepted.size()), oracle.watermark});
        }
      }
      Batch batch = batch_of(kInts, {int64s(values)}, logged);
      const std::vector<Refused> got = apply(stage, batch);
      ASSERT_EQ(batch.watermark, before);
      ASSERT_EQ(times(batch), accepted);
      ASSERT_EQ(batch.moves, moves);
      ASSERT_EQ(batch.length, static_cast<int64_t>(accepted.size()));
      ASSERT_EQ(batch.column(0).length(), batch.length);
      ASSERT_EQ(std::vector<uint32_t>(batch.record_of.begin(), batch.record_of.end()), accepted_records);
      ASSERT_EQ(got.size(), refused.size());
      for (size_t i = 0; i < got.size(); ++i) ASSERT_EQ(got[i].row, refused[i]);
      ASSERT_EQ(stage.watermark(), oracle.watermark);
      if (upto(8) == 0) {  // a restart
        ByteWriter bytes;
        stage.save(bytes);
        stage = make(spec, behind_by(bound), kInts);
        ByteReader reader(bytes.view());
        ASSERT_TRUE(stage.restore(reader).ok());
      }
    }
  }
}

TEST(TimeStageState, DamagedStateIsRefused) {
  TimeStage stage = make(bounded(), behind_by(0), kInts);
  feed(stage, {std::nullopt, std::nullopt});
  ByteWriter bytes;
  stage.save(bytes);
  for (size_t size = 0; size < bytes.size(); ++size) {
    TimeStage other = make(bounded(), behind_by(0), kInts);
    ByteReader reader(bytes.view().substr(0, size));
    EXPECT_EQ(other.restore(reader).code(), Code::kCorruption) << size;
  }
}

}  // namespace
}  // namespace wrackline

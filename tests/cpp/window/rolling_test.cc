// Rolling windows: each rule by hand, then random streams against all records that came, sorted.
#include <random>

#include "step_harness.h"
#include "window/stream_run.h"
#include "window/window_oracle.h"
#include <gtest/gtest.h>

#include "wrackline/core/bytes.h"

namespace wrackline::testing {
namespace {

const SchemaPtr kInput = std::make_shared<const Schema>(std::vector<Field>{{"k", Type::kString, true},
                                                                           {"n", Type::kInt64, true},
                                                                           {"x", Type::kFloat64, true},
                                                                           {"s", Type::kString, true},
                                                                           {"i", Type::kInt64, false}});

constexpr size_t kOwn = 5;  // columns of a row before its aggregates

const std::vector<AggregateSpec> kFixed = {
    {"rows", "count", ""}, {"sum", "sum", "n"},         {"x_sum", "sum", "x"},   {"x_max", "max", "x"},
    {"x_min", "min", "x"}, {"n_first", "first", "n"},   {"n_last", "last", "n"}, {"x_mean", "mean", "x"},
    {"x_std", "std", "x"}, {"n_wide", "sum", "n", true}};
const std::vector<AggregateSpec> kAnew = {{"rows", "count", ""},       {"sum", "sum", "n"},     {"is", "collect", "i"},
                                          {"unique", "n_unique", "n"}, {"s_min", "min", "s"},   {"s_max", "max", "s"},
                                          {"s_first", "first", "s"},   {"s_last", "last", "s"}, {"x_sum", "sum", "x"}};

WindowSpec rolling(Millis size, const std::vector<AggregateSpec>& aggregates = kFixed) {
  WindowSpec spec = WindowSpec::of(RollingWindow{size});
  spec.key_columns = {"k"};
  spec.aggregates = aggregates;
  return spec;
}

Row row_of(const Record& record) {
  Row row;
  row.push_back(record.key ? Scalar(*record.key) : Scalar());
  row.push_back(record.n ? Scalar(*record.n) : Scalar());
  row.push_back(record.x ? Scalar(*record.x) : Scalar());
  row.push_back(record.s ? Scalar(*record.s) : Scalar());
  row.push_back(static_cast<int64_t>(record.index));
  return row;
}

Record record(size_t index, Millis time, const std::string& key, int64_t n) {
  return {.index = index, .time = time, .key = key, .n = n, .x = static_cast<double>(n), .s = {}};
}

// "i rows sum" of each row that came out.
std::vector<std::string> short_rows(const CollectingEmitter& out) {
  std::vector<std::string> result;
  for (const Output& output : out.main) {
    result.push_back(std::to_string(std::get<int64_t>(output.row[4])) + " " +
                     std::to_string(std::get<int64_t>(output.row[kOwn])) + " " +
                     std::to_string(std::get<int64_t>(output.row[kOwn + 1])));
  }
  return result;
}

using Rows = std::vector<std::string>;

// rule: 5.12
TEST(RollingTest, ARowComesOutWhenTheWatermarkHasPassedIt) {
  auto step = make_window_step("w", rolling(10), kInput).value();
  BatchMaker maker(kInput);
  CollectingEmitter out;
  maker.add(5, row_of(record(0, 5, "a", 1)));
  maker.move(5);
  push(*step, maker.take(), out);
  EXPECT_EQ(Rows{}, short_rows(out));
  EXPECT_EQ(1, step->counts().held);
  maker.move(6);
  push(*step, maker.take(), out);
  EXPECT_EQ(Rows{"0 1 1"}, short_rows(out));
  EXPECT_EQ(5, out.main[0].event_time);
  EXPECT_EQ((std::vector<Millis>{5, 6}), out.moves);
  EXPECT_EQ(1, step->counts().out);
}

// rule: 5.12
TEST(RollingTest, TheWindowEndsWithTheRecordAndIsOpenAtItsStart) {
  auto step = make_window_step("w", rolling(10), kInput).value();
  BatchMaker maker(kInput);
  CollectingEmitter out;
  maker.add(0, row_of(record(0, 0, "a", 1)));
  maker.add(9, row_of(record(1, 9, "a", 10)));
  maker.add(10, row_of(record(2, 10, "a", 100)));
  maker.add(19, row_of(record(3, 19, "a", 1000)));
  maker.move(100);
  push(*step, maker.take(), out);
  EXPECT_EQ((Rows{"0 1 1", "1 2 11", "2 2 110", "3 2 1100"}), short_rows(out));
}

// rule: 5.12
TEST(RollingTest, RecordsOfOneTimeSeeOneAnotherAndStayInOrder) {
  auto step = make_window_step("w", rolling(10), kInput).value();
  BatchMaker maker(kInput);
  CollectingEmitter out;
  maker.add(7, row_of(record(0, 7, "a", 1)));
  maker.add(5, row_of(record(1, 5, "a", 10)));
  maker.add(7, row_of(record(2, 7, "a", 100)));
  maker.add(7, row_of(record(3, 7, "b", 5)));
  maker.move(8);
  push(*step, maker.take(), out);
  EXPECT_EQ((Rows{"1 1 10", "0 3 111", "2 3 111", "3 1 5"}), short_rows(out));
}

TEST(RollingTest, ThousandsOfOneTimeSeeOneAnother) {
  for (const auto& aggregates : {kFixed, std::vector<AggregateSpec>{kAnew.begin(), kAnew.begin() + 2}}) {
    auto step = make_window_step("w", rolling(10, aggregates), kInput).value();
    BatchMaker maker(kInput);
    CollectingEmitter out;
    maker.add(6, row_of(record(0, 6, "a", 1)));
    for (size_t i = 1; i <= 3000; ++i) maker.add(7, row_of(record(i, 7, "a", 1)));
    maker.add(8, row_of(record(3001, 8, "a", 1)));
    maker.move(9);
    push(*step, maker.take(), out);
    ASSERT_EQ(3002U, out.main.size());
    EXPECT_EQ("0 1 1", short_rows(out)[0]);
    for (size_t i = 1; i <= 3000; ++i) ASSERT_EQ(std::to_string(i) + " 3001 3001", short_rows(out)[i]);
    EXPECT_EQ("3001 3002 3002", short_rows(out)[3001]);
    if (::testing::Test::HasFailure()) return;
  }
}

// rule: 3.4 3.6
TEST(RollingTest, ALateRowSaysByHowMuch) {
  auto step = make_window_step("w", rolling(10), kInput).value();
  BatchMaker maker(kInput);
  CollectingEmitter out;
  maker.move(20);
  maker.add(17, row_of(record(0, 17, "a", 1)));
  maker.add(20, row_of(record(1, 20, "a", 1)));
  push(*step, maker.take(), out);
  ASSERT_EQ(1U, out.late.size());
  const Row& row = out.late[0].row;
  EXPECT_EQ(Scalar(int64_t{3}), row[5]);
  EXPECT_EQ(Scalar(Timestamp{20}), row[6]);
  EXPECT_EQ(Scalar(), row[7]);
  EXPECT_EQ(Scalar(std::string("rolling")), row[9]);
  EXPECT_EQ(1, step->counts().held);
}

// semantics.md 2: of a task with several inputs, what fires is the minimum; what judges is the row's own.
// rule: 2.9
TEST(RollingTest, ARecordIsJudgedByItsOwnInput) {
  auto step = make_window_step("w", rolling(10), kInput).value();
  BatchMaker maker(kInput);
  CollectingEmitter out;
  maker.move(50);
  maker.add(60, row_of(record(0, 60, "a", 1)));
  maker.add(60, row_of(record(1, 60, "a", 1)));
  Batch batch = maker.take();
  batch.judged_by.assign({60, 65});
  push(*step, std::move(batch), out);
  ASSERT_EQ(1U, out.late.size());
  EXPECT_EQ(Scalar(int64_t{1}), out.late[0].row[4]);
  EXPECT_EQ(Scalar(int64_t{5}), out.late[0].row[5]);
  EXPECT_EQ(Scalar(Timestamp{65}), out.late[0].row[6]);
  EXPECT_EQ(1, step->counts().held);
}

TEST(RollingTest, HiddenColumnsAreForTheAggregatesAlone) {
  WindowSpec spec = rolling(10, {{"sum", "sum", "i"}});
  spec.hidden = 1;
  auto step = make_window_step("w", spec, kInput).value();
  BatchMaker maker(kInput);
  CollectingEmitter out;
  maker.add(7, row_of(record(3, 7, "a", 1)));
  maker.move(8);
  push(*step, maker.take(), out);
  const Row expected = {std::string("a"), int64_t{1}, 1.0, Scalar(), int64_t{3}};
  EXPECT_EQ(expected, out.main.at(0).row);
}

TEST(RollingTest, ASumThatDoesNotFitIsADeadPaneThatNamesItsWindow) {
  auto step = make_window_step("w", rolling(10, {{"rows", "count", ""}, {"sum", "sum", "n"}}), kInput).value();
  BatchMaker maker(kInput);
  CollectingEmitter out;
  maker.add(1, row_of(record(0, 1, "a", std::numeric_limits<int64_t>::max())));
  maker.add(2, row_of(record(1, 2, "a", 1)));
  maker.add(11, row_of(record(2, 11, "a", 1)));
  maker.move(12);
  push(*step, maker.take(), out);
  EXPECT_EQ((Rows{"0 1 9223372036854775807", "2 2 2"}), short_rows(out));
  ASSERT_EQ(1U, out.dead_panes.size());
  EXPECT_EQ(2, out.dead_panes[0].event_time);
  EXPECT_NE(std::string::npos, std::get<std::string>(out.dead_panes[0].row[1]).find("k='a', window (-8, 2]"));
  EXPECT_EQ(3, step->counts().out);
  EXPECT_EQ(1, step->counts().panes_dead);
}

TEST(RollingTest, KeysGoWhenNoWindowReachesTheirRows) {
  for (const auto& aggregates : {kFixed, kAnew}) {
    auto step = make_window_step("w", rolling(50, aggregates), kInput).value();
    BatchMaker maker(kInput);
    CollectingEmitter out;
    int64_t bytes = 0;
    for (int64_t i = 0; i < 100'000; ++i) {
      maker.add(i, row_of(record(static_cast<size_t>(i), i, "key " + std::to_string(i), 1)));
      maker.move(i);
      if (i % 500 != 499) continue;
      push(*step, maker.take(), out);
      out.main.clear();
      EXPECT_LE(step->status().entries, 60);
      if (i == 49'999) bytes = step->state_bytes();
    }
    EXPECT_LE(step->state_bytes(), bytes + bytes / 10);
    maker.move(kPlusInfinity);
    push(*step, maker.take(), out);
    EXPECT_EQ(0, step->status().entries);
  }
}

// A window of half a million rows is turned over when the next one begins: in many pieces, and a row costs as much as
// with a small one.
TEST(RollingTest, ALargeWindowOfOneKey) {
  constexpr int64_t kCount = 500'000;
  auto step = make_window_step("w", rolling(kCount, {{"rows", "count", ""}, {"max", "max", "n"}}), kInput).value();
  BatchMaker maker(kInput);
  CollectingEmitter out;
  for (int64_t i = 0; i < kCount + 10; ++i) maker.add(i, row_of(record(static_cast<size_t>(i), i, "a", -i)));
  maker.move(kCount);
  step->take(maker.take());
  finish(*step, out);
  ASSERT_EQ(static_cast<size_t>(kCount), out.main.size());
  out.main.clear();
  maker.move(kCount + 100);
  step->take(maker.take());
  int pieces = 0;
  for (; step->busy(); ++pieces) ASSERT_TRUE(step->advance(out).ok());
  EXPECT_GT(pieces, 30);
  ASSERT_EQ(10U, out.main.size());
  for (int64_t i = 0; i < 10; ++i) {
    EXPECT_EQ(Scalar(kCount), out.main[static_cast<size_t>(i)].row[kOwn]);
    EXPECT_EQ(Scalar(-(i + 1)), out.main[static_cast<size_t>(i)].row[kOwn + 1]);
  }
}

TEST(RollingTest, ACheckpointHasEachRowOnce) {
  for (const auto& aggregates : {kFixed, kAnew}) {
    auto step = make_window_step("w", rolling(1000, aggregates), kInput).value();
    BatchMaker maker(kInput);
    CollectingEmitter out;
    Checkpoint checkpoint;
    for (int64_t i = 0; i < 1000; ++i) {
      maker.add(i, row_of(record(static_cast<size_t>(i), i, "k" + std::to_string(i % 7), i)));
      maker.move(i - 3);
    }
    push(*step, maker.take(), out);
    checkpoint.take(*step);
    const size_t whole = checkpoint.bytes_written;
    maker.add(1000, row_of(record(1000, 1000, "k1", 1)));
    maker.move(997);
    push(*step, maker.take(), out);
    checkpoint.take(*step);
    EXPECT_LT(checkpoint.bytes_written - whole, whole / 50);
    maker.move(5000);
    push(*step, maker.take(), out);
    checkpoint.take(*step);
    EXPECT_EQ(1U, checkpoint.units().size());
    EXPECT_EQ("meta", checkpoint.units().begin()->first);
  }
}

TEST(RollingTest, ACheckpointIsAsTheFormatSays) {
  auto step = make_window_step("w", rolling(1000, {{"rows", "count", ""}}), kInput).value();
  BatchMaker maker(kInput);
  CollectingEmitter out;
  maker.add(1500, row_of(record(0, 1500, "t1", 7)));
  maker.add(1700, row_of(record(1, 1700, "t1", 8)));
  maker.move(1600);
  push(*step, maker.take(), out);
  Checkpoint checkpoint;
  checkpoint.take(*step);
  ASSERT_EQ(3U, checkpoint.units().size());
  ByteWriter held;
  held.put(uint8_t{1});
  for (const int64_t time : {1700, 1700}) held.put(time);
  held.put(uint8_t{1});
  held.put_string("t1");
  held.put(uint8_t{1});
  held.put(int64_t{8});
  held.put(uint8_t{1});
  held.put(8.0);
  held.put(uint8_t{0});  // s is null
  held.put(uint8_t{1});
  held.put(int64_t{1});
  EXPECT_EQ(held.take(), checkpoint.units().at("p:0").at(0).second);
  ByteWriter window;
  window.put(uint8_t{1});
  window.put(int64_t{1599});
  window.put_string("t1");
  window.put(int64_t{1});
  window.put(uint32_t{0});
  window.put(uint32_t{1});
  window.put(int64_t{1500});
  window.put(int64_t{1});
  EXPECT_EQ(window.take(), checkpoint.units().at("w:0").at(0).second);
}

struct Item {
  enum Kind { kRecord, kMove, kCommit } kind = kRecord;
  Record record;
  Millis watermark = 0;
};

struct Stream {
  WindowSpec spec;
  std::vector<Item> items;
};

Stream random_stream(std::mt19937_64& random) {
  const auto below = [&](int64_t n) { return static_cast<int64_t>(random() % static_cast<uint64_t>(n)); };
  Stream stream;
  stream.spec = rolling(1 + below(below(2) ? 15 : 80), below(2) ? kFixed : kAnew);
  const Millis bound = below(3) == 0 ? 0 : below(40);
  const int64_t keys = 1 + below(5);
  const bool jumps = below(2) == 0;
  Millis now = below(200) - 100;
  Millis watermark = kMinusInfinity;
  Millis largest = kMinusInfinity;
  const int64_t count = 60 + below(300);
  for (int64_t i = 0; i < count; ++i) {
    now += jumps && below(20) == 0 ? below(200) : below(4);
    Record record;
    record.index = static_cast<size_t>(i);
    record.time = now - below(below(5) == 0 ? 60 : 1 + bound);
    const int64_t key = below(keys);
    if (below(30) != 0)
      record.key =
          key % 2 ? "k" + std::to_string(key) : std::string("a key longer than sixteen bytes ") + std::to_string(key);
    if (below(4) != 0) record.n = below(21) - 10;
    if (below(4) != 0) {
      record.x = static_cast<double>(below(2001) - 1000) / 7.0 * (below(10) == 0 ? 1e12 : 1.0);
      if (below(60) == 0) record.x = std::numeric_limits<double>::infinity();
    }
    if (below(4) != 0) record.s = std::string(static_cast<size_t>(below(25)), static_cast<char>('a' + below(4)));
    stream.items.push_back({Item::kRecord, record, 0});
    largest = std::max(largest, record.time);
    if (largest - bound > watermark && below(10) != 0) {
      watermark = largest - bound;
      stream.items.push_back({Item::kMove, {}, watermark});
    }
    if (below(20) == 0) stream.items.push_back({Item::kCommit, {}, 0});
  }
  if (below(2)) stream.items.push_back({Item::kMove, {}, kPlusInfinity});
  stream.items.push_back({Item::kCommit, {}, 0});
  return stream;
}

Answer run(const Stream& stream, uint64_t seed, int cut_every, bool restore) {
  return run_stream(stream, kInput, row_of, seed, cut_every, restore);
}

// What the rules say: all accepted records, and for each of them those in its window, found by looking at all.
struct Expected {
  std::vector<Record> late;
  std::vector<Millis> late_by;
  std::map<std::string, std::vector<Record>> rows;  // by key, in the order in which they come out
  std::map<std::string, std::vector<Record>> accepted;
  StepCounts counts;
};

Expected expect(const Stream& stream) {
  Expected result;
  Millis watermark = kMinusInfinity;
  for (const Item& item : stream.items) {
    if (item.kind == Item::kMove) {
      watermark = std::max(watermark, item.watermark);
    } else if (item.kind == Item::kRecord) {
      ++result.counts.in;
      if (!item.record.key) {
        ++result.counts.dead_lettered;
      } else if (item.record.time < watermark) {
        ++result.counts.late;
        result.late.push_back(item.record);
        result.late_by.push_back(watermark - item.record.time);
      } else {
        result.accepted[*item.record.key].push_back(item.record);
      }
    }
  }
  for (const auto& [key, records] : result.accepted) {
    for (const Record& record : records) {
      if (record.time < watermark)
        result.rows[key].push_back(record);
      else
        ++result.counts.held;
    }
    std::vector<Record>& rows = result.rows[key];
    std::stable_sort(rows.begin(), rows.end(), [](const Record& a, const Record& b) { return a.time < b.time; });
    result.counts.out += static_cast<int64_t>(rows.size());
  }
  result.counts.panes = result.counts.rows_out = result.counts.out;
  return result;
}

#define EXPECT_SCALAR(expected, got) EXPECT_TRUE(same((expected), (got))) << "column " << #got

void check_float_sum(const std::vector<double>& xs, const Scalar& got) {
  Quad sum = 0;
  double size = 0;
  for (const double x : xs) {
    sum += x;
    size += std::fabs(x);
  }
  const auto exact = static_cast<double>(sum);
  if (std::isinf(exact)) {
    EXPECT_SCALAR(Scalar(exact), got);
    return;
  }
  EXPECT_LE(std::fabs(std::get<double>(got) - exact), ulp(exact) + static_cast<double>(xs.size()) * 0x1p-100 * size);
}

void check_row(const Stream& stream, const Record& record, const std::vector<Record>& accepted, const Row& row) {
  const Row own = row_of(record);
  for (size_t i = 0; i < kOwn; ++i) EXPECT_SCALAR(own[i], row[i]);
  std::vector<Record> window;
  for (const Record& other : accepted) {
    if (other.time <= record.time && other.time > record.time - stream.spec.as<RollingWindow>()->size)
      window.push_back(other);
  }
  std::stable_sort(window.begin(), window.end(), [](const Record& a, const Record& b) { return a.time < b.time; });
  int64_t sum = 0;
  std::vector<int64_t> ns;
  std::vector<double> xs;
  std::vector<std::string> texts;
  std::string list;
  for (const Record& other : window) {
    sum += other.n.value_or(0);
    if (other.n) ns.push_back(*other.n);
    if (other.x) xs.push_back(*other.x);
    if (other.s) texts.push_back(*other.s);
    list += (list.empty() ? "[" : ",") + std::to_string(other.index);
  }
  const Scalar* got = row.data() + kOwn;
  EXPECT_SCALAR(Scalar(static_cast<int64_t>(window.size())), got[0]);
  EXPECT_SCALAR(Scalar(sum), got[1]);
  if (stream.spec.aggregates.size() == kAnew.size()) {
    EXPECT_SCALAR(Scalar(list + "]"), got[2]);
    EXPECT_SCALAR(Scalar(static_cast<int64_t>(std::set<int64_t>(ns.begin(), ns.end()).size())), got[3]);
    EXPECT_SCALAR(texts.empty() ? Scalar() : Scalar(*std::min_element(texts.begin(), texts.end())), got[4]);
    EXPECT_SCALAR(texts.empty() ? Scalar() : Scalar(*std::max_element(texts.begin(), texts.end())), got[5]);
    EXPECT_SCALAR(texts.empty() ? Scalar() : Scalar(texts.front()), got[6]);
    EXPECT_SCALAR(texts.empty() ? Scalar() : Scalar(texts.back()), got[7]);
    return check_float_sum(xs, got[8]);
  }
  check_float_sum(xs, got[2]);
  EXPECT_SCALAR(xs.empty() ? Scalar() : Scalar(*std::max_element(xs.begin(), xs.end())), got[3]);
  EXPECT_SCALAR(xs.empty() ? Scalar() : Scalar(*std::min_element(xs.begin(), xs.end())), got[4]);
  EXPECT_SCALAR(ns.empty() ? Scalar() : Scalar(ns.front()), got[5]);
  EXPECT_SCALAR(ns.empty() ? Scalar() : Scalar(ns.back()), got[6]);
  EXPECT_SCALAR(Scalar(std::to_string(sum)), got[9]);
  if (xs.size() < 2) {
    EXPECT_SCALAR(Scalar(), got[8]);
    return;
  }
  Quad total = 0;
  for (const double x : xs) total += x;
  const Quad mean = total / static_cast<Quad>(xs.size());
  if (std::isinf(static_cast<double>(total))) return;
  Quad squares = 0;
  for (const double x : xs) squares += (x - mean) * (x - mean);
  const double right = std::sqrt(static_cast<double>(squares / static_cast<Quad>(xs.size() - 1)));
  EXPECT_NEAR(right, std::get<double>(got[8]), 1e-9 * right);
}

void expect_same_rows(const std::vector<Output>& expected, const std::vector<Output>& got) {
  ASSERT_EQ(expected.size(), got.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(expected[i].event_time, got[i].event_time);
    EXPECT_EQ(expected[i].watermark, got[i].watermark);
    ASSERT_EQ(expected[i].row.size(), got[i].row.size());
    for (size_t column = 0; column < got[i].row.size(); ++column) {
      EXPECT_TRUE(same(expected[i].row[column], got[i].row[column])) << "row " << i << ", column " << column;
    }
  }
}

// rule: 3.4 5.12
TEST(RollingOracleTest, RandomStreamsGiveWhatTheRulesSay) {
  const uint64_t first_seed = 20260401;
  for (uint64_t seed = first_seed; seed < first_seed + 500; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    const Stream stream = random_stream(random);
    const Expected expected = expect(stream);
    const Answer whole = run(stream, seed, 0, false);
    EXPECT_TRUE(expected.counts == whole.counts);
    std::map<std::string, size_t> taken;
    for (const Output& output : whole.out.main) {
      const auto& key = std::get<std::string>(output.row[0]);
      ASSERT_LT(taken[key], expected.rows.at(key).size());
      const Record& record = expected.rows.at(key)[taken[key]++];
      EXPECT_EQ(record.time, output.event_time);
      EXPECT_GE(output.event_time, output.watermark) << "a result row is behind the watermark below";
      check_row(stream, record, expected.accepted.at(key), output.row);
      if (::testing::Test::HasFailure()) FAIL() << "record " << record.index;
    }
    ASSERT_EQ(expected.late.size(), whole.out.late.size());
    for (size_t i = 0; i < expected.late.size(); ++i) {
      EXPECT_SCALAR(Scalar(static_cast<int64_t>(expected.late[i].index)), whole.out.late[i].row[4]);
      EXPECT_SCALAR(Scalar(expected.late_by[i]), whole.out.late[i].row[5]);
    }
    // However the stream is cut, and whatever restarts, nothing else comes out, to the last bit.
    for (const int cut_every : {1, 7}) {
      const Answer other = run(stream, seed, cut_every, true);
      expect_same_rows(whole.out.main, other.out.main);
      expect_same_rows(whole.out.late, other.out.late);
      EXPECT_EQ(whole.out.moves, other.out.moves);
      EXPECT_TRUE(whole.counts == other.counts);
    }
    if (::testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace wrackline::testing

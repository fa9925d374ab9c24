// Sessions: each rule by hand, then random streams against the oracle.
#include <random>

#include "step_harness.h"
#include "window/session_oracle.h"
#include "window/stream_run.h"
#include <gtest/gtest.h>

#include "wrackline/core/bytes.h"

namespace wrackline::testing {
namespace {

const SchemaPtr kInput = std::make_shared<const Schema>(std::vector<Field>{{"k", Type::kString, true},
                                                                           {"n", Type::kInt64, true},
                                                                           {"x", Type::kFloat64, true},
                                                                           {"s", Type::kString, true},
                                                                           {"i", Type::kInt64, false}});

WindowSpec session(Millis gap) {
  WindowSpec spec = WindowSpec::of(SessionWindow{gap});
  spec.key_columns = {"k"};
  spec.aggregates = {{"rows", "count", ""},     {"sum", "sum", "n"},    {"x_sum", "sum", "x"},
                     {"x_max", "max", "x"},     {"is", "collect", "i"}, {"s_first", "first", "s"},
                     {"s_last", "last", "s"},   {"s_min", "min", "s"},  {"unique", "n_unique", "n"},
                     {"n_first", "first", "n"}, {"x_std", "std", "x"},  {"x_min", "min", "x"}};
  return spec;
}

// A stream by hand: k, time; values follow from the index.
class Session {
 public:
  explicit Session(WindowSpec spec) : step_(make_window_step("w", spec, kInput).value()), maker_(kInput) {}
  void record(const std::string& key, Millis time) {
    maker_.add(time, {key, int64_t{1}, 1.0, Scalar(), index_++});
    push(*step_, maker_.take(), out_);
  }
  void move(Millis watermark) {
    maker_.move(watermark);
    push(*step_, maker_.take(), out_);
  }
  // What came out since the last call: "key [start, end) pane revision rows", rows "-" for null.
  std::vector<std::string> rows() {
    std::vector<std::string> result;
    for (; seen_ < out_.main.size(); ++seen_) {
      const Row& row = out_.main[seen_].row;
      const auto time = [&](size_t column) { return std::to_string(std::get<Timestamp>(row[column]).millis); };
      const auto* rows = std::get_if<int64_t>(&row[5]);
      result.push_back(std::get<std::string>(row[0]) + " [" + time(1) + ", " + time(2) + ") " +
                       std::get<std::string>(row[4]) + " " + std::to_string(std::get<int64_t>(row[3])) + " " +
                       (rows ? std::to_string(*rows) : "-"));
    }
    EXPECT_TRUE(step_->counts().balances());
    return result;
  }
  Step& step() { return *step_; }
  const CollectingEmitter& out() const { return out_; }

 private:
  std::unique_ptr<Step> step_;
  BatchMaker maker_;
  CollectingEmitter out_;
  int64_t index_ = 0;
  size_t seen_ = 0;
};

using Rows = std::vector<std::string>;

// rule: 5.3
TEST(SessionTest, RecordsOneGapApartAreOneSession) {
  Session session_step(session(10));
  session_step.record("a", 0);
  session_step.record("a", 10);
  session_step.record("a", 21);
  session_step.move(100);
  EXPECT_EQ((Rows{"a [0, 20) on_time 0 2", "a [21, 31) on_time 0 1"}), session_step.rows());
}

// However often the watermark passes a multiple.
TEST(SessionTest, EarlyPanesOfFewKeysAreFewPieces) {
  WindowSpec spec = session(1000);
  spec.early = 1;
  auto step = make_window_step("w", spec, kInput).value();
  BatchMaker maker(kInput);
  CollectingEmitter out;
  for (Millis t = 0; t < 100; ++t) {
    maker.add(t, {"k" + std::to_string(t % 3), int64_t{1}, 1.0, Scalar(), t});
    maker.move(t);
  }
  step->take(maker.take());
  int pieces = 0;
  for (; step->busy(); ++pieces) ASSERT_TRUE(step->advance(out).ok());
  EXPECT_EQ(100U + 97U, out.main.size()) << "and all but the last session of a key withdrawn";
  EXPECT_LT(pieces, 500);
}

// rule: 4.2
TEST(SessionTest, FiresWhenTheWatermarkIsBeyondTheEnd) {
  Session session_step(session(10));
  session_step.record("a", 5);
  session_step.move(15);
  EXPECT_EQ(Rows{}, session_step.rows());
  session_step.move(16);
  EXPECT_EQ(Rows{"a [5, 15) on_time 0 1"}, session_step.rows());
  EXPECT_EQ(14, session_step.out().main[0].event_time);
  EXPECT_EQ((std::vector<Millis>{14, 15}), session_step.out().moves);
  EXPECT_EQ(0, session_step.step().status().entries);
}

// rule: 3.3 5.4
TEST(SessionTest, ARecordThatIsNotLateNeverMeetsAFreedSession) {
  WindowSpec spec = session(10);
  spec.allowed_lateness = 5;
  Session session_step(spec);
  session_step.record("a", 0);
  session_step.move(15);
  EXPECT_EQ(Rows{"a [0, 10) on_time 0 1"}, session_step.rows());
  session_step.record("a", 10);  // 10 + 5 >= 15
  EXPECT_EQ((Rows{"a [0, 10) merged 1 -"}), session_step.rows());
  session_step.move(16);
  session_step.record("a", 10);  // 10 + 5 < 16
  EXPECT_EQ(1U, session_step.out().late.size());
  session_step.move(21);
  EXPECT_EQ((Rows{"a [0, 20) on_time 1 2"}), session_step.rows());
}

// rule: 3.3 3.6
TEST(SessionTest, ALateRowSaysByHowMuchAndHasNoWindow) {
  Session session_step(session(10));
  session_step.move(100);
  session_step.record("a", 97);
  const Row& row = session_step.out().late.at(0).row;
  EXPECT_EQ(Scalar(int64_t{3}), row[5]);
  EXPECT_EQ(Scalar(Timestamp{100}), row[6]);
  EXPECT_EQ(Scalar(), row[7]);
  EXPECT_EQ(Scalar(), row[8]);
  EXPECT_EQ(Scalar(std::string("session")), row[9]);
  EXPECT_EQ(Scalar(std::string("w")), row[10]);
  EXPECT_EQ(1, session_step.step().counts().late);
}

// rule: 4.3 5.5
TEST(SessionTest, ASessionThatTwoOthersBecomeTakesTheirRowsBack) {
  WindowSpec spec = session(10);
  spec.early_rows = 1;
  Session session_step(spec);
  session_step.record("a", 0);
  session_step.record("a", 0);
  session_step.record("a", 15);
  EXPECT_EQ((Rows{"a [0, 10) early 0 1", "a [0, 10) early 1 2", "a [15, 25) early 0 1"}), session_step.rows());
  session_step.record("a", 7);
  EXPECT_EQ((Rows{"a [0, 10) merged 2 -", "a [15, 25) merged 1 -", "a [0, 25) early 2 4"}), session_step.rows());
  session_step.record("a", 15);  // the bounds stay: nothing is withdrawn
  EXPECT_EQ((Rows{"a [0, 25) early 3 5"}), session_step.rows());
}

// rule: 4.10
TEST(SessionTest, EarlyPanesHoldWhatIsNewAtEachMultiple) {
  WindowSpec spec = session(100);
  spec.early = 10;
  Session session_step(spec);
  session_step.record("a", 7);
  session_step.record("b", 3);
  session_step.record("ahead", 2000);
  session_step.move(3);  // the first value counts as a multiple
  Rows first = session_step.rows();
  std::sort(first.begin(), first.end());
  EXPECT_EQ((Rows{"a [7, 107) early 0 1", "ahead [2000, 2100) early 0 1", "b [3, 103) early 0 1"}), first);
  session_step.record("a", 7);
  session_step.move(9);
  EXPECT_EQ(Rows{}, session_step.rows());
  session_step.move(10);
  EXPECT_EQ((Rows{"a [7, 107) early 1 2"}), session_step.rows());
  session_step.record("a", 12);
  session_step.move(150);  // fires in this move: no early pane
  EXPECT_EQ((Rows{"a [7, 107) merged 2 -", "b [3, 103) on_time 1 1", "a [7, 112) on_time 2 3"}), session_step.rows());
}

// rule: 4.2 4.9
TEST(SessionTest, FinalOnlyComesOutOnceAtTheFreeing) {
  WindowSpec spec = session(10);
  spec.emit = EmitMode::kFinalOnly;
  spec.allowed_lateness = 20;
  Session session_step(spec);
  session_step.record("a", 0);
  session_step.move(20);
  session_step.record("a", 5);
  session_step.move(35);
  EXPECT_EQ(Rows{}, session_step.rows());
  EXPECT_EQ(2, session_step.step().counts().held);
  session_step.move(36);
  EXPECT_EQ((Rows{"a [0, 15) final 0 2"}), session_step.rows());
}

TEST(SessionTest, ASessionMayBeFiredWhenItBegins) {
  WindowSpec spec = session(10);
  spec.allowed_lateness = 100;
  Session session_step(spec);
  session_step.move(100);
  session_step.record("a", 50);
  EXPECT_EQ((Rows{"a [50, 60) late 0 1"}), session_step.rows());
}

TEST(SessionTest, MaySumThatOverflowsIsADeadPaneAndUsesUpItsRevision) {
  WindowSpec spec = session(10);
  spec.early_rows = 1;
  spec.aggregates = {{"rows", "count", ""}, {"sum", "sum", "n"}};
  auto step = make_window_step("w", spec, kInput).value();
  BatchMaker maker(kInput);
  CollectingEmitter out;
  const int64_t large = std::numeric_limits<int64_t>::max();
  maker.add(0, {std::string("a"), large, Scalar(), Scalar(), int64_t{0}});
  maker.add(0, {std::string("a"), int64_t{1}, Scalar(), Scalar(), int64_t{1}});
  maker.add(5, {std::string("a"), int64_t{-1}, Scalar(), Scalar(), int64_t{2}});
  push(*step, maker.take(), out);
  ASSERT_EQ(1U, out.dead_panes.size());
  ASSERT_EQ(3U, out.main.size());
  // Revision 0 is out, 1 is dead, so that 2 withdraws what is out; the session goes on with 2.
  EXPECT_EQ(Scalar(std::string("early")), out.main[0].row[4]);
  EXPECT_EQ(Scalar(std::string("merged")), out.main[1].row[4]);
  EXPECT_EQ(Scalar(int64_t{2}), out.main[1].row[3]);
  EXPECT_EQ(Scalar(int64_t{2}), out.main[2].row[3]);
  EXPECT_EQ(Scalar(large), out.main[2].row[6]);
  EXPECT_EQ(1, step->counts().panes_dead);
  EXPECT_EQ(3, step->counts().out);
}

TEST(SessionTest, ACheckpointIsAsTheFormatSays) {
  WindowSpec spec = session(1000);
  spec.aggregates = {{"rows", "count", ""}};
  auto step = make_window_step("w", spec, kInput).value();
  BatchMaker maker(kInput);
  CollectingEmitter out;
  maker.add(1500, {std::string("t1"), Scalar(), Scalar(), Scalar(), int64_t{0}});
  push(*step, maker.take(), out);
  Checkpoint checkpoint;
  checkpoint.take(*step);
  ASSERT_EQ(2U, checkpoint.units().size());
  const auto& [name, blocks] = *checkpoint.units().begin();
  EXPECT_EQ("k:192", name);
  ByteWriter expected;
  expected.put(uint8_t{2});
  expected.put(uint32_t{0});
  expected.put_string("t1");
  expected.put(uint32_t{1});
  for (const int64_t value : {1500, 2500, 1, 0}) expected.put(value);
  expected.put(uint8_t{0});
  expected.put(int64_t{1});
  EXPECT_EQ(expected.take(), blocks.at(0).second);
}

TEST(SessionTest, AFreezeHoldsTheKeysThatChanged) {
  auto step = make_window_step("w", session(1000), kInput).value();
  BatchMaker maker(kInput);
  CollectingEmitter out;
  for (int64_t i = 0; i < 10'000; ++i) maker.add(i % 7, {"key " + std::to_string(i), i, 0.5, std::string("text"), i});
  push(*step, maker.take(), out);
  Checkpoint checkpoint;
  checkpoint.take(*step);
  const size_t whole = checkpoint.bytes_written;
  maker.add(8, {std::string("key 5"), int64_t{1}, 0.5, std::string("text"), int64_t{0}});
  push(*step, maker.take(), out);
  checkpoint.take(*step);
  EXPECT_LT(checkpoint.bytes_written - whole, whole / 1000);
}

// semantics.md 10 and 2: a closed input may be read on; what was freed stays freed, whatever the lateness now says.
TEST(SessionTest, AfterAnInputWasClosedRecordsBeforeItsLastSessionEndAreLate) {
  WindowSpec spec = session(10);
  auto step = make_window_step("w", spec, kInput).value();
  BatchMaker maker(kInput);
  CollectingEmitter out;
  const auto add = [&](Millis time) { maker.add(time, {std::string("a"), Scalar(), Scalar(), Scalar(), int64_t{0}}); };
  add(100);
  maker.move(100);
  maker.move(kPlusInfinity);
  push(*step, maker.take(), out);
  EXPECT_EQ(1U, out.main.size());
  Checkpoint checkpoint;
  checkpoint.take(*step);
  spec.allowed_lateness = 1000;
  step = make_window_step("w", spec, kInput).value();
  checkpoint.restore(*step);
  maker.start(100);
  add(110);
  add(111);
  push(*step, maker.take(), out);
  ASSERT_EQ(1U, out.late.size());
  EXPECT_EQ(110, out.late[0].event_time);
  EXPECT_EQ(Scalar(int64_t{1}), out.late[0].row[5]);  // no lateness would have kept it
  EXPECT_EQ(1, step->counts().held);
}

// semantics.md 10: so it is with sessions that nobody has looked at since their time had passed.
TEST(SessionTest, WhatHadToBeFreedBeforeARestartIsNotOpenedByAnotherLateness) {
  WindowSpec spec = session(10);
  spec.allowed_lateness = 20;
  auto step = make_window_step("w", spec, kInput).value();
  BatchMaker maker(kInput);
  CollectingEmitter out;
  const auto add = [&](Millis time) { maker.add(time, {std::string("a"), Scalar(), Scalar(), Scalar(), int64_t{0}}); };
  add(100);
  add(115);
  maker.move(131);  // the first is freed at 131, the second at 146
  push(*step, maker.take(), out);
  EXPECT_EQ(2U, out.main.size());
  Checkpoint checkpoint;
  checkpoint.take(*step);
  spec.allowed_lateness = 1000;
  step = make_window_step("w", spec, kInput).value();
  checkpoint.restore(*step);
  maker.start(131);
  add(110);
  add(111);
  push(*step, maker.take(), out);
  ASSERT_EQ(1U, out.late.size());
  EXPECT_EQ(110, out.late[0].event_time);
  EXPECT_EQ(4U, out.main.size());
  EXPECT_EQ(Scalar(std::string("merged")), out.main[2].row[4]);  // of the second, which 111 makes begin earlier
}

// What only waits for being freed is not there after a restore: rows come in the same order all the same, by which a
// replay of a firing that was cut leaves out those that are out already.
TEST(SessionTest, RowsComeInTheSameOrderAfterARestore) {
  WindowSpec spec = session(1024);
  spec.allowed_lateness = 100;
  auto step = make_window_step("w", spec, kInput).value();
  BatchMaker maker(kInput);
  CollectingEmitter out;
  const auto add = [&](const char* key, Millis time) {
    maker.add(time, {std::string(key), Scalar(), Scalar(), Scalar(), int64_t{0}});
  };
  add("k", 0);
  add("k", 2149);  // fires at 3174; the first session has been looked at for being freed 1 ms before
  add("x", 2150);  // fires at 3175
  maker.move(1200);
  push(*step, maker.take(), out);
  Checkpoint checkpoint;
  checkpoint.take(*step);
  const auto restored = make_window_step("w", spec, kInput).value();
  checkpoint.restore(*restored);
  for (Step* one : {step.get(), restored.get()}) {
    maker.start(1200);
    maker.move(5000);
    CollectingEmitter rows;
    push(*one, maker.take(), rows);
    ASSERT_EQ(2U, rows.main.size());
    EXPECT_EQ(Scalar(std::string("k")), rows.main[0].row[0]);
    EXPECT_EQ(Scalar(std::string("x")), rows.main[1].row[0]);
  }
}

// semantics.md 2: of a task with several inputs, what fires is the minimum; what judges is the row's own.
// rule: 2.9
TEST(SessionTest, ARecordIsJudgedByItsOwnInput) {
  auto step = make_window_step("w", session(10), kInput).value();
  BatchMaker maker(kInput);
  CollectingEmitter out;
  maker.move(50);
  maker.add(60, {std::string("a"), int64_t{1}, Scalar(), Scalar(), int64_t{0}});
  maker.add(60, {std::string("a"), int64_t{1}, Scalar(), Scalar(), int64_t{1}});
  Batch batch = maker.take();
  batch.judged_by.assign({60, 65});
  push(*step, std::move(batch), out);
  ASSERT_EQ(1U, out.late.size());
  EXPECT_EQ(Scalar(int64_t{1}), out.late[0].row[4]);
  EXPECT_EQ(Scalar(int64_t{5}), out.late[0].row[5]);
  EXPECT_EQ(Scalar(Timestamp{65}), out.late[0].row[6]);
  EXPECT_EQ(1, step->counts().held);
}

// At any other cost than O(log n) a record this takes minutes.
TEST(SessionTest, AMillionSessionsOfOneKeyInAnyOrder) {
  constexpr int64_t kCount = 1'000'000;
  WindowSpec spec = session(10);
  spec.aggregates = {{"rows", "count", ""}};
  auto step = make_window_step("w", spec, kInput).value();
  BatchMaker maker(kInput);
  CollectingEmitter out;
  for (int64_t i = 0; i < kCount; ++i) {
    maker.add(i * 7'368'787 % kCount * 100, {std::string("a"), Scalar(), Scalar(), Scalar(), i});
    if (i % 4096 == 4095) push(*step, maker.take(), out);
  }
  push(*step, maker.take(), out);
  EXPECT_EQ(kCount, step->status().entries);
  maker.move(kCount * 100 / 2);
  step->take(maker.take());
  int64_t pieces = 0;
  for (; step->busy(); ++pieces) ASSERT_TRUE(step->advance(out).ok());
  EXPECT_GT(pieces, 100);
  ASSERT_EQ(static_cast<size_t>(kCount / 2), out.main.size());
  for (size_t i = 0; i < out.main.size(); ++i) ASSERT_EQ(static_cast<Millis>(i * 100 + 9), out.main[i].event_time);
}

TEST(SessionTest, WhatItHoldsIsThatOfTheSessionsThatAreThere) {
  WindowSpec spec = session(50);
  auto step = make_window_step("w", spec, kInput).value();
  BatchMaker maker(kInput);
  CollectingEmitter out;
  Checkpoint checkpoint;
  int64_t bytes = 0;
  for (int64_t i = 0; i < 200'000; ++i) {
    maker.add(i, {"a key of its own, number " + std::to_string(1'000'000 + i), i, 0.5, std::string("text"), i});
    maker.move(i);
    if (i % 1000 != 999) continue;
    push(*step, maker.take(), out);
    out.main.clear();
    if (i % 10'000 == 9'999) checkpoint.take(*step);
    if (i == 99'999) bytes = step->state_bytes();
  }
  EXPECT_LE(step->status().entries, 52);
  EXPECT_LE(step->state_bytes(), bytes + bytes / 10);
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
  WindowSpec& spec = stream.spec;
  spec = session(1 + below(below(2) ? 12 : 40));
  spec.allowed_lateness = below(3) == 0 ? 0 : below(60);
  spec.emit = static_cast<EmitMode>(below(3));
  if (spec.emit != EmitMode::kFinalOnly) {
    if (below(3) == 0) spec.early = 1 + below(30);
    if (below(3) == 0) spec.early_rows = 1 + below(4);
  }
  const Millis bound = below(3) == 0 ? 0 : below(60);
  const int64_t keys = 1 + below(5);
  const bool jumps = below(2) == 0;
  Millis now = below(200) - 100;
  Millis watermark = kMinusInfinity;
  Millis largest = kMinusInfinity;
  const int64_t count = 60 + below(200);
  for (int64_t i = 0; i < count; ++i) {
    now += jumps && below(20) == 0 ? below(200) : below(8);
    Record record;
    record.index = static_cast<size_t>(i);
    record.time = now - below(below(5) == 0 ? 120 : 1 + bound);
    const int64_t key = below(keys);
    if (below(30) != 0)
      record.key =
          key % 2 ? "k" + std::to_string(key) : std::string("a key longer than sixteen bytes ") + std::to_string(key);
    if (below(4) != 0) record.n = below(21) - 10;
    if (below(4) != 0) record.x = static_cast<double>(below(2001) - 1000) / 7.0 * (below(10) == 0 ? 1e12 : 1.0);
    if (below(4) != 0) record.s = std::string(static_cast<size_t>(below(25)), static_cast<char>('a' + below(4)));
    stream.items.push_back({Item::kRecord, record, 0});
    largest = std::max(largest, record.time);
    if (largest - bound > watermark && below(10) != 0) {
      watermark = largest - bound;
      stream.items.push_back({Item::kMove, {}, watermark});
    }
    if (below(25) == 0) stream.items.push_back({Item::kCommit, {}, 0});
  }
  if (below(2)) stream.items.push_back({Item::kMove, {}, kPlusInfinity});
  stream.items.push_back({Item::kCommit, {}, 0});
  return stream;
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

Answer run(const Stream& stream, uint64_t seed, int cut_every, bool restore) {
  return run_stream(stream, kInput, row_of, seed, cut_every, restore);
}

#define EXPECT_SCALAR(expected, got) EXPECT_TRUE(same((expected), (got))) << "column " << #got

// `row`: k, window_start, window_end, revision, pane, then the aggregates of session().
void check_row(const SessionRow& expected, const Row& row) {
  EXPECT_SCALAR(Scalar(expected.key), row[0]);
  EXPECT_SCALAR(Scalar(Timestamp{expected.start}), row[1]);
  EXPECT_SCALAR(Scalar(Timestamp{expected.end}), row[2]);
  EXPECT_SCALAR(Scalar(expected.revision), row[3]);
  EXPECT_SCALAR(Scalar(expected.pane), row[4]);
  if (expected.pane == "merged") {
    for (size_t i = 5; i < row.size(); ++i) EXPECT_SCALAR(Scalar(), row[i]);
    return;
  }
  std::vector<Record> by_time = expected.records;
  std::stable_sort(by_time.begin(), by_time.end(), [](const Record& a, const Record& b) { return a.time < b.time; });
  std::string list;
  int64_t sum = 0;
  std::set<int64_t> numbers;
  Quad x_sum = 0;
  double x_size = 0;
  std::vector<double> xs;
  std::vector<std::string> texts;
  Scalar n_first;
  for (const Record& record : by_time) {
    list += (list.empty() ? "[" : ",") + std::to_string(record.index);
    sum += record.n.value_or(0);
    if (record.n && n_first == Scalar()) n_first = *record.n;
    if (record.n) numbers.insert(*record.n);
    if (record.s) texts.push_back(*record.s);
    if (!record.x) continue;
    xs.push_back(*record.x);
    x_sum += *record.x;
    x_size += std::fabs(*record.x);
  }
  EXPECT_SCALAR(Scalar(static_cast<int64_t>(by_time.size())), row[5]);
  EXPECT_SCALAR(Scalar(sum), row[6]);
  const auto exact = static_cast<double>(x_sum);
  EXPECT_LE(std::fabs(std::get<double>(row[7]) - exact),
            ulp(exact) + static_cast<double>(xs.size()) * 0x1p-100 * x_size);
  EXPECT_SCALAR(Scalar(list + "]"), row[9]);
  EXPECT_SCALAR(Scalar(static_cast<int64_t>(numbers.size())), row[13]);
  EXPECT_SCALAR(n_first, row[14]);
  if (texts.empty()) {
    for (const size_t column : {10, 11, 12}) EXPECT_SCALAR(Scalar(), row[column]);
  } else {
    EXPECT_SCALAR(Scalar(texts.front()), row[10]);
    EXPECT_SCALAR(Scalar(texts.back()), row[11]);
    EXPECT_SCALAR(Scalar(*std::min_element(texts.begin(), texts.end())), row[12]);
  }
  EXPECT_SCALAR(xs.empty() ? Scalar() : Scalar(*std::max_element(xs.begin(), xs.end())), row[8]);
  EXPECT_SCALAR(xs.empty() ? Scalar() : Scalar(*std::min_element(xs.begin(), xs.end())), row[16]);
  if (xs.size() < 2) {
    EXPECT_SCALAR(Scalar(), row[15]);
    return;
  }
  Quad squares = 0;
  const Quad mean = x_sum / static_cast<Quad>(xs.size());
  for (const double x : xs) squares += (x - mean) * (x - mean);
  const double right = std::sqrt(static_cast<double>(squares / static_cast<Quad>(xs.size() - 1)));
  EXPECT_NEAR(right, std::get<double>(row[15]), 1e-9 * right);
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

// Aggregates that are put in one pass give what they give among others.
void check_few(Stream stream, const Answer& all, uint64_t seed) {
  stream.spec.aggregates = {{"rows", "count", ""}, {"sum", "sum", "x"}, {"high", "max", "x"}, {"low", "min", "x"}};
  for (const int cut_every : {0, 1, 7}) {
    const Answer few = run(stream, seed, cut_every, cut_every != 0);
    ASSERT_EQ(all.out.main.size(), few.out.main.size());
    for (size_t i = 0; i < few.out.main.size(); ++i) {
      const Row& row = all.out.main[i].row;
      Row expected(row.begin(), row.begin() + 6);
      for (const size_t column : {7, 8, 16}) expected.push_back(row[column]);
      for (size_t column = 0; column < expected.size(); ++column)
        EXPECT_TRUE(same(expected[column], few.out.main[i].row[column])) << "row " << i << ", column " << column;
    }
    EXPECT_TRUE(all.counts == few.counts);
  }
}

// rule: 3.3 4.3 4.8 5.3 5.4 5.5
TEST(SessionOracleTest, RandomStreamsGiveWhatTheRulesSay) {
  const uint64_t first_seed = 20260301;
  std::map<std::string, int> panes;
  for (uint64_t seed = first_seed; seed < first_seed + 500; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    const Stream stream = random_stream(random);
    SessionOracle oracle(stream.spec);
    for (const Item& item : stream.items) {
      if (item.kind == Item::kRecord) oracle.record(item.record);
      if (item.kind == Item::kMove) oracle.move(item.watermark);
    }
    const Answer whole = run(stream, seed, 0, false);
    ASSERT_EQ(oracle.rows.size(), whole.out.main.size());
    EXPECT_TRUE(oracle.counts == whole.counts);
    // Rows of one key come in the oracle's order.
    std::map<std::string, std::vector<const SessionRow*>> expected;
    for (const SessionRow& row : oracle.rows) {
      expected[row.key].push_back(&row);
      ++panes[row.pane];
    }
    std::map<std::string, size_t> taken;
    for (const Output& output : whole.out.main) {
      const auto& key = std::get<std::string>(output.row[0]);
      ASSERT_LT(taken[key], expected[key].size());
      const SessionRow& row = *expected[key][taken[key]++];
      EXPECT_EQ(row.end - 1, output.event_time);
      EXPECT_GE(output.event_time, output.watermark) << "a result row is behind the watermark below";
      check_row(row, output.row);
      if (::testing::Test::HasFailure()) FAIL() << row.pane << " " << row.start << ".." << row.end << " of " << key;
    }
    ASSERT_EQ(oracle.late.size(), whole.out.late.size());
    for (size_t i = 0; i < oracle.late.size(); ++i) {
      const Row& row = whole.out.late[i].row;
      EXPECT_SCALAR(Scalar(static_cast<int64_t>(oracle.late[i].index)), row[4]);
      EXPECT_SCALAR(Scalar(oracle.late[i].late_by), row[5]);
      EXPECT_SCALAR(Scalar(Timestamp{oracle.late[i].watermark}), row[6]);
    }
    if (seed % 4 == 0) check_few(stream, whole, seed);
    // However the stream is cut, and whatever restarts, nothing else comes out.
    for (const int cut_every : {1, 7}) {
      const Answer other = run(stream, seed, cut_every, true);
      expect_same_rows(whole.out.main, other.out.main);
      expect_same_rows(whole.out.late, other.out.late);
      EXPECT_EQ(whole.out.moves, other.out.moves);
      EXPECT_TRUE(whole.counts == other.counts);
    }
    if (::testing::Test::HasFailure()) return;
  }
  for (const char* pane : {"early", "on_time", "late", "final", "merged"}) EXPECT_GT(panes[pane], 500) << pane;
}

}  // namespace
}  // namespace wrackline::testing

// A job of several stages: how it is split, blocks on the wire, and a run of all its threads.
#include "wrackline/job/stages.h"

#include <random>

#include "job/fixture.h"
#include "log/temporary_directory.h"
#include <gtest/gtest.h>

#include "wrackline/codec/block.h"
#include "wrackline/time/inputs.h"

namespace wrackline {
namespace {

const auto kFour = [](const SourceSpec&) { return Result<int32_t>(4); };

std::shared_ptr<Plan> windows_of(const std::vector<std::string>& partitioned_by, const std::string& key = "meter") {
  auto plan = std::make_shared<Plan>("meters");
  SourceSpec source = reading_source();
  source.partitioned_by = partitioned_by;
  WindowSpec spec = counting(10);
  spec.key_columns = {key};
  const StreamRef window = *plan->window(*plan->read(std::move(source)), std::move(spec), true, "");
  EXPECT_TRUE(plan->write({.streams = {window}, .topic = "results"}).ok());
  EXPECT_TRUE(plan->write({.streams = plan->late_streams(), .topic = "late"}).ok());
  EXPECT_TRUE(plan->finish().ok());
  return plan;
}

TEST(Stages, AKeyThatIsWhereItShouldBeNeedsOne) {
  const auto one = [](const SourceSpec&) { return Result<int32_t>(1); };
  EXPECT_EQ(1u, make_stages(windows_of({}), one)->size());
  EXPECT_EQ(1u, make_stages(windows_of({"meter"}), kFour)->size());
  EXPECT_EQ(2u, make_stages(windows_of({}), kFour)->size());
  EXPECT_EQ(2u, make_stages(windows_of({"id"}), kFour)->size());
}

TEST(Stages, EachHasItsOwnNames) {
  const auto stages = make_stages(windows_of({}), kFour).value();
  EXPECT_EQ("meters", stages[0].plan->group());
  EXPECT_EQ("meters.journal-0", stages[0].plan->journal_topic());
  EXPECT_EQ("meters.rekey-window", stages[1].plan->group());
  EXPECT_EQ("meters.rekey-window", stages[1].plan->source().topic);
  EXPECT_EQ("meters.journal-rekey-window", stages[1].plan->journal_topic());
  EXPECT_EQ(std::vector<size_t>{0}, stages[1].upstream);
  ASSERT_TRUE(stages[0].plan->source().watermark.idle_after.has_value()) << "an idle partition would hold all others";
  EXPECT_EQ(60'000, *stages[0].plan->source().watermark.idle_after);
}

TEST(Stages, ARunOfTwoStagesCountsEveryRecordOnce) {
  const std::shared_ptr<const Clock> clock = std::make_shared<SystemClock>();
  const std::shared_ptr<Log> log = open_log("memory:", clock).value();
  ASSERT_TRUE(log->create_topic("readings", 3).ok());
  std::mt19937 random(7);
  constexpr int kRecords = 3'000;
  for (int i = 0; i < kRecords; ++i) {
    append_all(*log, "readings", {reading("r" + std::to_string(i), "m" + std::to_string(random() % 9), 1, i / 100)},
               static_cast<int32_t>(random() % 3));
  }
  const auto plan = windows_of({});
  const auto run = Run::open(plan, {.commit_interval = 5, .max_poll_records = 100, .until_now = true, .close = true},
                             {.log = log, .clock = clock});
  ASSERT_TRUE(run.ok()) << run.status().to_string();
  ASSERT_TRUE((*run)->loop(nullptr, 10).ok());
  const std::map<int32_t, Ledger> ledger = (*run)->ledger();
  int64_t counted = 0;
  for (const auto& [partition, steps] : ledger) {
    for (const LedgerEntry& entry : steps) {
      EXPECT_TRUE(entry.counts.balances()) << entry.step;
      if (entry.step == "window") counted += entry.counts.out + entry.counts.late;
    }
  }
  EXPECT_EQ(kRecords, counted);
}

TEST(Blocks, ComeBackAsTheyWere) {
  const auto schema = std::make_shared<const Schema>(
      std::vector<Field>{{"k", Type::kString, true}, {"b", Type::kBool, true}, {"n", Type::kInt64, false}});
  std::mt19937 random(11);
  for (int round = 0; round < 50; ++round) {
    Batch batch;
    batch.schema = schema;
    batch.watermark = kMinusInfinity;
    auto k = std::make_shared<Column>(Type::kString), b = std::make_shared<Column>(Type::kBool);
    auto n = std::make_shared<Column>(Type::kInt64);
    Buffer<int64_t> rows;
    Buffer<Millis> judged;
    Buffer<Millis> own;
    Millis watermark = kMinusInfinity;
    for (int64_t row = 0; row < 60; ++row) {
      random() % 3 == 0 ? k->append_null() : k->append_string(std::string(random() % 30, 'x'));
      random() % 3 == 0 ? b->append_null() : b->append_bool(random() % 2 == 0);
      n->append_int64(static_cast<int64_t>(random()));
      batch.event_times.push_back(static_cast<Millis>(random()));
      if (random() % 4 == 0) {
        watermark = std::max<Millis>(watermark, static_cast<Millis>(random() % 1000));
        batch.moves.push_back({row, watermark});
      }
      own.push_back(watermark);
      judged.push_back(watermark + static_cast<Millis>(random() % 3));
      if (random() % 2 == 0) rows.push_back(row);
    }
    batch.length = 60;
    batch.judged_by = judged;  // of a task with several inputs
    batch.columns = {k, b, n};
    const BlockHeader header{{1, 2}, 5};
    const Bytes bytes = encode_block(header, batch, rows);
    const std::string_view view(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    const Result<ExchangeBlock> block = decode_block(view, schema);
    ASSERT_TRUE(block.ok()) << block.status().to_string();
    EXPECT_EQ(header, block->header);
    ASSERT_EQ(static_cast<int64_t>(rows.size()), block->rows.length);
    for (size_t i = 0; i < rows.size(); ++i) {
      const auto at = static_cast<int64_t>(i);
      EXPECT_EQ(batch.event_times[static_cast<size_t>(rows[i])], block->rows.event_times[i]);
      EXPECT_EQ(judged[static_cast<size_t>(rows[i])], block->rows.judged_by[i]);
      EXPECT_EQ(own[static_cast<size_t>(rows[i])], block->watermarks[i]);
      ASSERT_EQ(k->is_null(rows[i]), block->rows.column(0).is_null(at));
      if (!k->is_null(rows[i])) {
        EXPECT_EQ(k->string_at(rows[i]), block->rows.column(0).string_at(at));
      }
      ASSERT_EQ(b->is_null(rows[i]), block->rows.column(1).is_null(at));
      if (!b->is_null(rows[i])) {
        EXPECT_EQ(b->bool_at(rows[i]), block->rows.column(1).bool_at(at));
      }
      EXPECT_EQ(n->int64s()[rows[i]], block->rows.column(2).int64s()[at]);
    }
    for (size_t cut = 0; cut < bytes.size(); cut += 5)
      EXPECT_EQ(Code::kCorruption, decode_block(view.substr(0, cut), schema).status().code()) << cut;
  }
}

TEST(Inputs, ARowIsJudgedByItsOwnInputAlsoBehindASecondExchange) {
  Inputs inputs(1, IdleAdvance::kHold);
  ASSERT_TRUE(inputs.expect(0, 1).ok());
  EXPECT_EQ(70, inputs.on_row({0, 0}, 10, 70));
  EXPECT_EQ(12, inputs.on_row({0, 0}, 10, 12)) << "of another input of the task upstream";
  EXPECT_EQ(10, inputs.watermark());
}

// rule: 2.9 2.13 2.14 2.20
TEST(Inputs, TheSmallestFiresAndAnIdleOneLeavesIt) {
  Inputs inputs(2, IdleAdvance::kHold);
  ASSERT_TRUE(inputs.expect(0, 2).ok());
  inputs.on_row({0, 0}, 50, 50);
  inputs.on_row({0, 1}, 40, 40);
  EXPECT_EQ(kMinusInfinity, inputs.watermark()) << "nothing is known of the other source";
  ASSERT_TRUE(inputs.expect(1, 1).ok());
  inputs.on_row({1, 0}, 30, 30);
  EXPECT_EQ(30, inputs.watermark());
  inputs.on_mark({1, 0}, {.watermark = 31, .idle = true});
  EXPECT_EQ(40, inputs.watermark());
  EXPECT_EQ(40, inputs.on_row({1, 0}, 31, 31)) << "one that returns is judged by where the task stands";
  EXPECT_EQ(40, inputs.watermark()) << "W never falls";
  for (const UpstreamId id : {UpstreamId{0, 0}, UpstreamId{0, 1}}) inputs.on_mark(id, {.watermark = 60, .ended = true});
  EXPECT_FALSE(inputs.ended());
  inputs.on_mark({1, 0}, {.watermark = 41, .ended = true});
  EXPECT_EQ(kPlusInfinity, inputs.watermark());
  EXPECT_EQ(60, inputs.last_watermark());
  EXPECT_FALSE(inputs.expect(2, 1).ok());
}

}  // namespace
}  // namespace wrackline

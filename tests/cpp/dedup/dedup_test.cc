#include "wrackline/dedup/dedup.h"

#include <limits>
#include <random>

#include "step_harness.h"
#include <gtest/gtest.h>

namespace wrackline::testing {
namespace {

const SchemaPtr kInput =
    std::make_shared<const Schema>(std::vector<Field>{{"id", Type::kString, true}, {"i", Type::kInt64, false}});

struct Item {
  bool is_record = false;
  bool is_commit = false;
  Millis time = 0;  // of a record, or W
  std::optional<std::string> id;
};

// semantics.md 6 record by record, remembering every record that passed for ever.
struct Oracle {
  Millis within;
  Millis lateness;
  Millis watermark = kMinusInfinity;
  std::vector<std::pair<std::string, Millis>> passed_ids;
  std::vector<int64_t> passed, duplicates, dead;
  std::vector<std::pair<int64_t, Millis>> late;

  void record(int64_t index, const Item& item) {
    if (!item.id) return dead.push_back(index);
    if (watermark != kMinusInfinity && item.time + lateness < watermark) {
      return late.push_back({index, watermark - item.time - lateness});
    }
    for (const auto& [id, time] : passed_ids) {
      if (id == *item.id && std::abs(item.time - time) < within) return duplicates.push_back(index);
    }
    passed_ids.push_back({*item.id, item.time});
    passed.push_back(index);
  }
};

std::vector<int64_t> indices(const std::vector<Output>& rows, size_t column) {
  std::vector<int64_t> result;
  for (const Output& row : rows) result.push_back(std::get<int64_t>(row.row[column]));
  return result;
}

// rule: 3.5 6.2 6.3 6.4
TEST(DedupTest, RandomStreamsGiveWhatTheRulesSay) {
  const uint64_t first_seed = 4000;
  for (uint64_t seed = first_seed; seed < first_seed + 200; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    const auto below = [&](int64_t n) { return static_cast<int64_t>(random() % static_cast<uint64_t>(n)); };
    const Millis within = 1 + below(30);
    const Millis lateness = below(40);
    const int64_t ids = 1 + below(12);
    Oracle oracle{within, lateness};
    DedupSpec spec{{"id"}, within, lateness, false};
    auto step = make_dedup_step("d", spec, kInput).value();
    CollectingEmitter out;
    Checkpoint checkpoint;
    BatchMaker maker(kInput);
    Millis now = below(100) - 50;
    for (int64_t i = 0; i < 300; ++i) {
      now += below(15) == 0 ? below(100) : below(3);
      Item item{true, false, now - below(30), "id" + std::to_string(below(ids))};
      if (below(30) == 0) item.id.reset();
      oracle.record(i, item);
      maker.add(item.time, {item.id ? Scalar(*item.id) : Scalar(), i});
      if (const Millis w = now - 10; below(2) && w > oracle.watermark) {
        oracle.watermark = w;
        maker.move(w);
      }
      if (below(20) == 0) {
        push(*step, maker.take(), out);
        EXPECT_TRUE(step->counts().balances());
        if (below(3) == 0) step->changes_lost();
        checkpoint.take(*step);
        if (below(2)) {
          step = make_dedup_step("d", spec, kInput).value();
          checkpoint.restore(*step);
        }
      }
    }
    push(*step, maker.take(), out);
    EXPECT_EQ(oracle.passed, indices(out.main, 1));
    EXPECT_EQ(oracle.duplicates, indices(out.duplicates, 1));
    EXPECT_EQ(oracle.dead, indices(out.dead, 2));
    ASSERT_EQ(oracle.late.size(), out.late.size());
    for (size_t i = 0; i < oracle.late.size(); ++i) {
      const Row& row = out.late[i].row;
      EXPECT_TRUE(same(Scalar(oracle.late[i].first), row[1]));
      EXPECT_TRUE(same(Scalar(oracle.late[i].second), row[2]));
      EXPECT_TRUE(same(Scalar(), row[4]) && same(Scalar(), row[5])) << "no window";
      EXPECT_TRUE(same(Scalar(std::string("dedup")), row[6]));
    }
    if (::testing::Test::HasFailure()) return;
  }
}

// rule: 6.5
TEST(DedupTest, DuplicatesDoNotRenewTheMemory) {
  auto step = make_dedup_step("d", {{"id"}, 10, 0, false}, kInput).value();
  BatchMaker maker(kInput);
  for (const Millis time : {0, 9, 10, 19, 20}) maker.add(time, {std::string("x"), time});
  CollectingEmitter out;
  push(*step, maker.take(), out);
  EXPECT_EQ((std::vector<int64_t>{0, 10, 20}), indices(out.main, 1));
  EXPECT_EQ((std::vector<int64_t>{9, 19}), indices(out.duplicates, 1));
}

// rule: 6.7
TEST(DedupTest, NanIsOneIdAndNullsMayBeGrouped) {
  const auto schema =
      std::make_shared<const Schema>(std::vector<Field>{{"id", Type::kFloat64, true}, {"i", Type::kInt64, false}});
  auto step = make_dedup_step("d", {{"id"}, 10, 0, true}, schema).value();
  BatchMaker maker(schema);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  int64_t i = 0;
  for (const Scalar& id : {Scalar(nan), Scalar(-nan), Scalar(0.0), Scalar(-0.0), Scalar(), Scalar()})
    maker.add(1, {id, i++});
  CollectingEmitter out;
  push(*step, maker.take(), out);
  EXPECT_EQ((std::vector<int64_t>{0, 2, 4}), indices(out.main, 1));
}

TEST(DedupTest, WithinLongerThanFourBytesOfMilliseconds) {
  const Millis within = 100LL * 24 * 3600 * 1000;
  auto step = make_dedup_step("d", {{"id"}, within, 0, false}, kInput).value();
  BatchMaker maker(kInput);
  maker.add(-5, {std::string("x"), int64_t{0}});
  maker.add(within - 6, {std::string("x"), int64_t{1}});
  maker.add(within - 5, {std::string("x"), int64_t{2}});
  CollectingEmitter out;
  push(*step, maker.take(), out);
  EXPECT_EQ((std::vector<int64_t>{0, 2}), indices(out.main, 1));
}

TEST(DedupTest, WhatWasForgottenDoesNotPassTwiceWhenMoreLatenessIsAllowed) {
  auto step = make_dedup_step("d", {{"id"}, 10, 0, false}, kInput).value();
  BatchMaker maker(kInput);
  maker.add(5, {std::string("x"), int64_t{0}});
  maker.move(100);
  CollectingEmitter out;
  push(*step, maker.take(), out);
  EXPECT_LT(step->state_bytes(), 100) << "dropped";
  Checkpoint checkpoint;
  checkpoint.take(*step);
  auto changed = make_dedup_step("d", {{"id"}, 10, 1000, false}, kInput).value();
  checkpoint.restore(*changed);
  maker.add(6, {std::string("x"), int64_t{1}});
  push(*changed, maker.take(), out);
  EXPECT_EQ(1U, out.main.size());
  EXPECT_EQ(1U, out.late.size());
}

TEST(DedupTest, RefusesWhatCannotBe) {
  EXPECT_FALSE(make_dedup_step("d", {{"id"}, 0, 0, false}, kInput).ok());
  EXPECT_FALSE(make_dedup_step("d", {{"id"}, 5, -1, false}, kInput).ok());
  EXPECT_FALSE(make_dedup_step("d", {{"id"}, kMaxDuration + 1, 0, false}, kInput).ok());
  EXPECT_FALSE(make_dedup_step("d", {{}, 5, 0, false}, kInput).ok());
  const Status status = make_dedup_step("d", {{"idd"}, 5, 0, false}, kInput).status();
  EXPECT_NE(std::string::npos, status.message().find("'id'")) << status.message();
}

}  // namespace
}  // namespace wrackline::testing

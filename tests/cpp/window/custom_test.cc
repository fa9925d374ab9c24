// A user's aggregate, written in C++: what it is called with, and that neither batches nor restores nor merges show.
#include "wrackline/window/aggregate/custom.h"

#include <map>
#include <random>

#include <gtest/gtest.h>

namespace wrackline::testing {
namespace {

// A state is a count of rows, a fold over the numbers of each call, and the texts of all rows. The fold depends on how
// rows were cut into calls: two states are equal only if their cuts were.
class Folding final : public CustomAggregate {
 public:
  Folding() {
    auto batch = std::make_shared<Batch>();
    batch->schema = std::make_shared<const Schema>(std::vector<Field>{
        {"fold", Type::kInt64, true}, {"half", Type::kFloat64, true}, {"texts", Type::kString, true}});
    const auto fold = std::make_shared<Column>(Type::kInt64);
    fold->append_int64(1);
    const auto half = std::make_shared<Column>(Type::kFloat64);
    half->append_null();
    const auto texts = std::make_shared<Column>(Type::kString);
    texts->append_string("");
    batch->columns = {fold, half, texts};
    batch->length = 1;
    initial_ = batch;
  }

  const std::string& name() const override { return name_; }
  const BatchPtr& initial() const override { return initial_; }
  const std::vector<std::string>& row_names() const override { return row_names_; }
  const Field& result() const override { return result_; }
  bool mergeable() const override { return true; }

  Result<Columns> add(const BatchPtr& states, const BatchPtr& rows, const ColumnPtr& groups) const override {
    ++calls;
    largest_call = std::max(largest_call, rows->length);
    if (fail) return Status::fatal("on purpose");
    Building made = building(states);
    std::vector<int64_t> of_call(static_cast<size_t>(states->length), 0);
    std::vector<bool> seen(of_call.size(), false);
    for (int64_t i = 0; i < rows->length; ++i) {
      const auto group = static_cast<size_t>(groups->int64s()[i]);
      EXPECT_TRUE(i == 0 || groups->int64s()[i - 1] <= groups->int64s()[i]);
      seen[group] = true;
      if (!rows->column(0).is_null(i)) {
        of_call[group] = static_cast<int64_t>(static_cast<uint64_t>(of_call[group]) * 31 +
                                              static_cast<uint64_t>(rows->column(0).int64s()[i]));
        made[group].half = rows->column(0).is_null(i) ? 0 : static_cast<double>(rows->column(0).int64s()[i]) / 2;
        made[group].has_half = true;
      }
      made[group].texts += std::string(rows->column(1).string_at(i)) + ",";
    }
    for (size_t group = 0; group < of_call.size(); ++group) {
      EXPECT_TRUE(seen[group]) << "a state without a row";
      made[group].fold = static_cast<int64_t>(static_cast<uint64_t>(made[group].fold) * 1'000'003U +
                                              static_cast<uint64_t>(of_call[group]));
    }
    return columns(made);
  }

  Result<Columns> merge(const BatchPtr& states, const BatchPtr& later) const override {
    Building made = building(states);
    const Building others = building(later);
    for (size_t i = 0; i < made.size(); ++i) {
      made[i].fold =
          static_cast<int64_t>(static_cast<uint64_t>(made[i].fold) * 77U ^ static_cast<uint64_t>(others[i].fold));
      made[i].texts += "|" + others[i].texts;
      made[i].half = others[i].half;
      made[i].has_half = others[i].has_half;
    }
    return columns(made);
  }

  Result<ColumnPtr> finish(const BatchPtr& states) const override {
    auto column = std::make_shared<Column>(Type::kString);
    for (const State& state : building(states)) {
      column->append_string(std::to_string(state.fold) + " " + (state.has_half ? std::to_string(state.half) : "-") +
                            " " + state.texts);
    }
    return ColumnPtr(column);
  }

  mutable int calls = 0;
  mutable int64_t largest_call = 0;
  bool fail = false;

 private:
  struct State {
    int64_t fold = 0;
    double half = 0;
    bool has_half = false;
    std::string texts;
  };
  using Building = std::vector<State>;

  static Building building(const BatchPtr& states) {
    Building made;
    for (int64_t i = 0; i < states->length; ++i) {
      made.push_back({states->column(0).int64s()[i], states->column(1).is_null(i) ? 0 : states->column(1).float64s()[i],
                      !states->column(1).is_null(i), std::string(states->column(2).string_at(i))});
    }
    return made;
  }
  static Columns columns(const Building& made) {
    const auto fold = std::make_shared<Column>(Type::kInt64);
    const auto half = std::make_shared<Column>(Type::kFloat64);
    const auto texts = std::make_shared<Column>(Type::kString);
    for (const State& state : made) {
      fold->append_int64(state.fold);
      if (state.has_half)
        half->append_float64(state.half);
      else
        half->append_null();
      texts->append_string(state.texts);
    }
    return {fold, half, texts};
  }

  const std::string name_ = "Folding";
  const std::vector<std::string> row_names_ = {"n", "s"};
  const Field result_{"result", Type::kString, true};
  BatchPtr initial_;
};

const SchemaPtr kRows =
    std::make_shared<const Schema>(std::vector<Field>{{"n", Type::kInt64, true}, {"s", Type::kString, false}});

struct Row {
  uint32_t id = 0;
  std::optional<int64_t> n;
  std::string s;
};

std::vector<Row> random_rows(std::mt19937_64& random, size_t count, uint32_t entries) {
  std::vector<Row> rows(count);
  for (Row& row : rows) {
    // A few entries have most of the rows.
    row.id = static_cast<uint32_t>(random() % (1 + random() % entries));
    if (random() % 5 != 0) row.n = static_cast<int64_t>(random() % 1000);
    row.s = std::string(random() % 4, static_cast<char>('a' + random() % 20));
  }
  return rows;
}

Status put(CustomStates& states, const std::vector<Row>& rows, size_t begin, size_t end) {
  Batch batch;
  batch.schema = kRows;
  batch.length = static_cast<int64_t>(end - begin);
  const auto n = std::make_shared<Column>(Type::kInt64);
  const auto s = std::make_shared<Column>(Type::kString);
  Buffer<uint32_t> places;
  Buffer<uint32_t> ids;
  for (size_t i = begin; i < end; ++i) {
    if (rows[i].n)
      n->append_int64(*rows[i].n);
    else
      n->append_null();
    s->append_string(rows[i].s);
    places.push_back(static_cast<uint32_t>(i - begin));
    ids.push_back(rows[i].id);
  }
  batch.columns = {n, s};
  return states.put(batch, places.data(), ids.data(), ids.size());
}

std::vector<std::string> results(CustomStates& states, uint32_t entries) {
  Buffer<uint32_t> ids(entries);
  for (uint32_t id = 0; id < entries; ++id) ids[id] = id;
  const ColumnPtr column = states.results(ids.data(), ids.size()).value();
  std::vector<std::string> all;
  for (uint32_t id = 0; id < entries; ++id) all.emplace_back(column->string_at(id));
  return all;
}

// Written and read entry by entry, some of them twice, as blocks of a checkpoint may have them.
std::unique_ptr<CustomStates> restored(CustomStates& states, uint32_t entries,
                                       const std::shared_ptr<const Folding>& folding, const std::string& earlier) {
  ByteWriter out;
  for (uint32_t id = 0; id < entries; ++id) EXPECT_TRUE(states.write(id, out).ok());
  auto result = std::make_unique<CustomStates>(folding, std::vector<int>{0, 1}, kRows);
  result->grow(entries);
  const Bytes bytes = out.take();
  for (const std::string& block : {earlier, std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size())}) {
    ByteReader in(block);
    for (uint32_t id = 0; id < entries && in.left() > 0; ++id) EXPECT_TRUE(result->read(id, in));
    EXPECT_TRUE(in.finish("states").ok());
  }
  return result;
}

TEST(CustomStatesTest, HowAStreamIsCutAndRestoredDoesNotShow) {
  for (uint64_t seed = 1; seed <= 25; ++seed) {
    std::mt19937_64 random(seed);
    const auto entries = static_cast<uint32_t>(1 + random() % 40);
    const std::vector<Row> rows = random_rows(random, 1000 + random() % 60'000, entries);
    const auto folding = std::make_shared<const Folding>();
    CustomStates whole(folding, {0, 1}, kRows);
    whole.grow(entries);
    ASSERT_TRUE(put(whole, rows, 0, rows.size()).ok());
    const std::vector<std::string> expected = results(whole, entries);

    auto cut = std::make_unique<CustomStates>(folding, std::vector<int>{0, 1}, kRows);
    cut->grow(entries);
    std::string earlier;
    for (size_t begin = 0; begin < rows.size();) {
      const size_t end = std::min(rows.size(), begin + 1 + random() % 5000);
      ASSERT_TRUE(put(*cut, rows, begin, end).ok());
      begin = end;
      if (random() % 4 == 0) results(*cut, entries);  // an early pane
      if (random() % 3 == 0) {
        cut = restored(*cut, entries, folding, earlier);
        ByteWriter out;
        for (uint32_t id = 0; id < entries; ++id) ASSERT_TRUE(cut->write(id, out).ok());
        earlier = out.view();
      }
    }
    EXPECT_EQ(expected, results(*cut, entries)) << "seed " << seed;
  }
}

TEST(CustomStatesTest, SlicesAreMergedInOrderWheneverTheCallsAreMade) {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    std::mt19937_64 random(seed);
    const auto entries = static_cast<uint32_t>(1 + random() % 30);
    const auto folding = std::make_shared<const Folding>();
    std::vector<std::unique_ptr<CustomStates>> slices;
    std::vector<std::vector<Row>> of_slices;
    for (size_t i = 0; i < 1 + random() % 5; ++i) {
      of_slices.push_back(random_rows(random, random() % 3000, entries));
      slices.push_back(std::make_unique<CustomStates>(folding, std::vector<int>{0, 1}, kRows));
      slices.back()->grow(entries);
      ASSERT_TRUE(put(*slices.back(), of_slices.back(), 0, of_slices.back().size()).ok());
    }
    CustomStates merged(folding, {0, 1}, kRows);
    merged.grow(entries);
    const bool looked_at = random() % 2 == 0;  // the calls are made between slices, and more often
    for (auto& slice : slices) {
      for (uint32_t id = 0; id < entries; ++id) {
        ASSERT_TRUE(merged.merge(id, *slice, id).ok());
        if (looked_at && random() % 5 == 0) results(merged, entries);
      }
    }
    // Entry by entry, and each from its own rows alone.
    std::vector<std::string> expected;
    for (uint32_t id = 0; id < entries; ++id) {
      CustomStates alone(folding, {0, 1}, kRows);
      alone.grow(1);
      for (const std::vector<Row>& all : of_slices) {
        std::vector<Row> own;
        for (const Row& row : all) {
          if (row.id == id) own.push_back({0, row.n, row.s});
        }
        CustomStates slice(folding, {0, 1}, kRows);
        slice.grow(1);
        ASSERT_TRUE(put(slice, own, 0, own.size()).ok());
        ASSERT_TRUE(alone.merge(0, slice, 0).ok());
        results(alone, 1);
      }
      expected.push_back(results(alone, 1)[0]);
    }
    EXPECT_EQ(expected, results(merged, entries)) << "seed " << seed;
    // What was merged is as it was.
    std::vector<std::string> texts = results(*slices[0], entries);
    CustomStates again(folding, {0, 1}, kRows);
    again.grow(entries);
    ASSERT_TRUE(put(again, of_slices[0], 0, of_slices[0].size()).ok());
    EXPECT_EQ(results(again, entries), texts);
  }
}

TEST(CustomStatesTest, EntriesOfOneTableAreMergedAsSessionsDo) {
  const auto folding = std::make_shared<const Folding>();
  std::mt19937_64 random(3);
  const std::vector<Row> rows = random_rows(random, 5000, 4);
  CustomStates table(folding, {0, 1}, kRows);
  CustomStates others(folding, {0, 1}, kRows);
  CustomStates merged(folding, {0, 1}, kRows);
  for (CustomStates* states : {&table, &others, &merged}) states->grow(5);
  ASSERT_TRUE(put(table, rows, 0, rows.size()).ok());
  ASSERT_TRUE(put(others, rows, 0, rows.size()).ok());
  for (const uint32_t from : {2U, 1U, 3U}) {
    ASSERT_TRUE(table.merge(0, table, from).ok());
    ASSERT_TRUE(merged.merge(0, others, from == 2 ? 0 : from == 1 ? 2 : 1).ok());
  }
  ASSERT_TRUE(merged.merge(0, others, 3).ok());
  EXPECT_EQ(results(merged, 1)[0], results(table, 1)[0]);
  ASSERT_TRUE(table.merge(4, table, 0).ok());  // into a fresh one: what it is
  EXPECT_EQ(results(table, 1)[0], results(table, 5)[4]);
}

TEST(CustomStatesTest, FewCallsAreMadeAndTheyAreBounded) {
  const auto folding = std::make_shared<const Folding>();
  std::mt19937_64 random(5);
  const uint32_t entries = 2000;
  CustomStates states(folding, {0, 1}, kRows);
  states.grow(entries);
  std::vector<Row> rows = random_rows(random, 400'000, entries);
  for (Row& row : rows) row.s.clear();
  for (size_t begin = 0; begin < rows.size(); begin += 100) ASSERT_TRUE(put(states, rows, begin, begin + 100).ok());
  results(states, entries);
  EXPECT_LT(folding->calls, 250) << "for 400,000 rows in batches of 100";
  EXPECT_LT(folding->largest_call, 150'000);
}

TEST(CustomStatesTest, WhatItHoldsIsCountedAndFreed) {
  const auto folding = std::make_shared<const Folding>();
  std::mt19937_64 random(6);
  CustomStates states(folding, {0, 1}, kRows);
  states.grow(10);
  const int64_t before = states.allocated_bytes();
  std::vector<Row> rows = random_rows(random, 10'000, 10);
  for (Row& row : rows) row.s = std::string(100, 'x');
  ASSERT_TRUE(put(states, rows, 0, rows.size()).ok());
  EXPECT_GT(states.allocated_bytes(), before + 1'000'000);
  states.clear();
  states.grow(10);
  EXPECT_EQ("1 - ", results(states, 10)[7]);
  EXPECT_LT(states.allocated_bytes(), before + 1'000'000);
}

TEST(CustomStatesTest, AFailureIsHandedOn) {
  const auto folding = std::make_shared<Folding>();
  folding->fail = true;
  CustomStates states(folding, {0, 1}, kRows);
  states.grow(1);
  ASSERT_TRUE(put(states, {{0, 1, "a"}}, 0, 1).ok()) << "rows wait";
  const uint32_t id = 0;
  EXPECT_EQ("on purpose", states.results(&id, 1).status().message());
}

}  // namespace
}  // namespace wrackline::testing

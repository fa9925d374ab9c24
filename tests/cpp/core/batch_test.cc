#include "wrackline/core/batch.h"

#include <optional>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace wrackline {
namespace {

constexpr uint32_t kSeed = 20240817;

// What a batch says, in its order: rows (by number) and moves of the watermark between them.
struct Event {
  bool is_move = false;
  int64_t value = 0;
  friend bool operator==(const Event&, const Event&) = default;
};
std::ostream& operator<<(std::ostream& out, const Event& event) {
  return out << (event.is_move ? "W" : "row ") << event.value;
}

Batch make_batch(const std::vector<Event>& events) {
  Batch batch;
  batch.schema = std::make_shared<const Schema>(Schema({{"n", Type::kInt64, false}, {"s", Type::kString, true}}));
  auto numbers = std::make_shared<Column>(Type::kInt64);
  auto strings = std::make_shared<Column>(Type::kString);
  for (const Event& event : events) {
    if (event.is_move) {
      batch.moves.push_back({batch.length, event.value});
      continue;
    }
    numbers->append_int64(event.value);
    event.value % 3 == 0 ? strings->append_null() : strings->append_string("s" + std::to_string(event.value));
    batch.event_times.push_back(event.value * 10);
    batch.record_of.push_back(static_cast<uint32_t>(event.value + 5));
    ++batch.length;
  }
  batch.columns = {numbers, strings};
  batch.watermark = -100;
  return batch;
}

// Also checks that everything that belongs to a row came along.
std::vector<Event> events_of(const Batch& batch) {
  std::vector<Event> events;
  size_t move = 0;
  for (int64_t row = 0; row <= batch.length; ++row) {
    while (move < batch.moves.size() && batch.moves[move].position == row) {
      events.push_back({true, batch.moves[move++].watermark});
    }
    if (row == batch.length) break;
    const int64_t number = batch.column(0).int64s()[row];
    events.push_back({false, number});
    EXPECT_EQ(number * 10, batch.event_times[static_cast<size_t>(row)]);
    EXPECT_EQ(number + 5, batch.record_of[static_cast<size_t>(row)]);
    EXPECT_EQ(number % 3 == 0, batch.column(1).is_null(row));
    if (number % 3 != 0) {
      EXPECT_EQ("s" + std::to_string(number), batch.column(1).string_at(row));
    }
  }
  EXPECT_EQ(batch.moves.size(), move) << "a move beyond the end";
  return events;
}

std::vector<Event> random_events(std::mt19937& random) {
  std::vector<Event> events;
  const size_t count = random() % 30;
  int64_t row = 0;
  int64_t watermark = -50;
  for (size_t i = 0; i < count; ++i) {
    if (random() % 3 == 0) {
      events.push_back({true, watermark += 1 + random() % 5});
    } else {
      events.push_back({false, row++});
    }
  }
  return events;
}

TEST(Batch, TakingRowsKeepsEveryMoveInItsPlaceBetweenThem) {
  SCOPED_TRACE("seed " + std::to_string(kSeed));
  std::mt19937 random(kSeed);
  for (int round = 0; round < 500; ++round) {
    const std::vector<Event> events = random_events(random);
    const Batch batch = make_batch(events);
    Buffer<int64_t> rows;
    std::vector<Event> expected;
    for (const Event& event : events) {
      if (event.is_move) {
        expected.push_back(event);
      } else if (random() % 2 == 0) {
        rows.push_back(event.value);
        expected.push_back(event);
      }
    }
    const Batch taken = take_rows(batch, rows);
    ASSERT_EQ(expected, events_of(taken));
    EXPECT_EQ(batch.watermark, taken.watermark);
    EXPECT_EQ(batch.watermark_after(), taken.watermark_after());
  }
}

TEST(Batch, SlicesPutTogetherAreTheBatch) {
  SCOPED_TRACE("seed " + std::to_string(kSeed));
  std::mt19937 random(kSeed);
  for (int round = 0; round < 500; ++round) {
    const std::vector<Event> events = random_events(random);
    const Batch batch = make_batch(events);
    if (batch.length == 0) continue;
    std::vector<Event> together;
    Millis watermark = batch.watermark;
    for (int64_t begin = 0; begin < batch.length;) {
      const int64_t end = begin + 1 + static_cast<int64_t>(random() % static_cast<uint64_t>(batch.length - begin));
      const Batch slice = slice_rows(batch, begin, end);
      EXPECT_EQ(watermark, slice.watermark) << "the first row of a slice is judged as it was";
      const std::vector<Event> part = events_of(slice);
      together.insert(together.end(), part.begin(), part.end());
      watermark = slice.watermark_after();
      begin = end;
    }
    ASSERT_EQ(events, together);
  }
}

TEST(Batch, RecordsAndOriginTravelWithTheRows) {
  Batch batch = make_batch({{false, 0}, {false, 1}});
  batch.records = std::make_shared<Records>();
  batch.origin = std::make_shared<const TopicPartition>(TopicPartition{"t", 3});
  const Batch slice = slice_rows(batch, 1, 2);
  EXPECT_EQ(batch.records, slice.records);
  EXPECT_EQ(batch.origin, slice.origin);
}

TEST(Batch, FindsColumnsByName) {
  const Batch batch = make_batch({{false, 4}});
  ASSERT_NE(nullptr, batch.find("s"));
  EXPECT_EQ("s4", batch.find("s")->string_at(0));
  EXPECT_EQ(nullptr, batch.find("S"));
}

// A value of any type as text, the oracle's form of a row.
std::string text_of(const Column& column, int64_t row) {
  if (column.is_null(row)) return "null";
  switch (column.type()) {
    case Type::kBool: return column.bool_at(row) ? "true" : "false";
    case Type::kInt64:
    case Type::kTimestamp: return std::to_string(column.int64s()[row]);
    case Type::kFloat64: return std::to_string(column.float64s()[row]);
    case Type::kString:
    case Type::kBytes: return std::string(column.string_at(row));
    case Type::kDecimal: return std::to_string(static_cast<int64_t>(column.decimal_at(row) >> 64));
    case Type::kList: {
      std::string text = "[";
      for (int32_t i = column.offsets()[row]; i < column.offsets()[row + 1]; ++i)
        text += text_of(column.items(), i) + ",";
      return text + "]";
    }
  }
  return "?";
}

// Appends a random value and returns what text_of() must say of it.
std::string append_random(Column& column, std::mt19937& random, bool nulls) {
  if (nulls && random() % 4 == 0) {
    column.append_null();
    return "null";
  }
  const auto n = static_cast<int64_t>(random() % 1000);
  switch (column.type()) {
    case Type::kBool: column.append_bool(n % 2 == 0); return n % 2 == 0 ? "true" : "false";
    case Type::kInt64:
    case Type::kTimestamp: column.append_int64(-n); return std::to_string(-n);
    case Type::kFloat64:
      column.append_float64(0.5 * static_cast<double>(n));
      return std::to_string(0.5 * static_cast<double>(n));
    case Type::kString:
    case Type::kBytes: {
      const std::string text(static_cast<size_t>(n % 20), static_cast<char>('a' + n % 26));
      column.append_string(text);
      return text;
    }
    case Type::kDecimal: column.append_decimal(static_cast<__int128>(n) << 64); return std::to_string(n);
    case Type::kList: {
      std::string text = "[";
      for (int64_t i = 0; i < n % 4; ++i) text += append_random(column.mutable_items(), random, nulls) + ",";
      column.append_list_end();
      return text + "]";
    }
  }
  return "?";
}

TEST(Column, EveryTypeKeepsItsValuesAndNullsThroughAppendGatherAndSlice) {
  SCOPED_TRACE("seed " + std::to_string(kSeed));
  std::mt19937 random(kSeed);
  for (const Type type : {Type::kBool, Type::kInt64, Type::kFloat64, Type::kString, Type::kBytes, Type::kTimestamp,
                          Type::kDecimal, Type::kList}) {
    for (const bool nulls : {false, true}) {
      Column column(type, Type::kString);
      std::vector<std::string> expected;
      int64_t null_count = 0;
      for (int row = 0; row < 100; ++row) {
        expected.push_back(append_random(column, random, nulls));
        null_count += expected.back() == "null" ? 1 : 0;
      }
      ASSERT_EQ(100, column.length()) << type_name(type);
      EXPECT_EQ(null_count, column.null_count()) << type_name(type);
      for (int64_t row = 0; row < 100; ++row) {
        ASSERT_EQ(expected[static_cast<size_t>(row)], text_of(column, row)) << type_name(type) << " row " << row;
      }
      Buffer<int64_t> rows;
      for (int i = 0; i < 150; ++i) rows.push_back(static_cast<int64_t>(random() % 100));
      const ColumnPtr gathered = gather(column, rows);
      ASSERT_EQ(150, gathered->length());
      for (int64_t i = 0; i < 150; ++i) {
        ASSERT_EQ(expected[static_cast<size_t>(rows[static_cast<size_t>(i)])], text_of(*gathered, i))
            << type_name(type);
      }
      for (const auto& [begin, end] : {std::pair<int64_t, int64_t>{0, 100}, {7, 7}, {8, 93}, {33, 100}}) {
        const ColumnPtr part = slice(column, begin, end);
        ASSERT_EQ(end - begin, part->length());
        int64_t nulls_of_part = 0;
        for (int64_t i = begin; i < end; ++i) {
          ASSERT_EQ(expected[static_cast<size_t>(i)], text_of(*part, i - begin)) << type_name(type);
          nulls_of_part += column.is_null(i) ? 1 : 0;
        }
        EXPECT_EQ(nulls_of_part, part->null_count()) << type_name(type);
      }
    }
  }
}

TEST(Column, AColumnOfNullsIsAllNull) {
  const ColumnPtr column = null_column({"x", Type::kList, true, Type::kInt64}, 9);
  ASSERT_EQ(9, column->length());
  EXPECT_EQ(9, column->null_count());
  for (int64_t i = 0; i < 9; ++i) EXPECT_TRUE(column->is_null(i));
}

}  // namespace
}  // namespace wrackline

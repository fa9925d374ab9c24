// What tests of steps share: batches from rows, an emitter that keeps what it gets, and checkpoints kept
// as a store would keep them.
#pragma once

#include <bit>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "wrackline/core/scalar.h"
#include "wrackline/core/step.h"

namespace wrackline::testing {

using Row = std::vector<Scalar>;

inline void append(Column& column, const Scalar& value) {
  if (const auto* b = std::get_if<bool>(&value))
    column.append_bool(*b);
  else if (const auto* i = std::get_if<int64_t>(&value))
    column.append_int64(*i);
  else if (const auto* d = std::get_if<double>(&value))
    column.append_float64(*d);
  else if (const auto* s = std::get_if<std::string>(&value))
    column.append_string(*s);
  else if (const auto* t = std::get_if<Timestamp>(&value))
    column.append_int64(t->millis);
  else
    column.append_null();
}

// Lists and decimals come back as text.
inline Scalar read(const Column& column, int64_t row) {
  if (column.is_null(row)) return {};
  switch (column.type()) {
    case Type::kBool: return column.bool_at(row);
    case Type::kInt64: return column.int64s()[row];
    case Type::kTimestamp: return Timestamp{column.int64s()[row]};
    case Type::kFloat64: return column.float64s()[row];
    case Type::kString:
    case Type::kBytes: return std::string(column.string_at(row));
    case Type::kDecimal: {
      __int128 value = column.decimal_at(row);
      const bool negative = value < 0;
      std::string text;
      do {
        text.insert(text.begin(), static_cast<char>('0' + static_cast<int>(negative ? -(value % 10) : value % 10)));
        value /= 10;
      } while (value != 0);
      return negative ? "-" + text : text;
    }
    case Type::kList: break;
  }
  std::string text = "[";
  for (int32_t i = column.offsets()[row]; i < column.offsets()[row + 1]; ++i) {
    if (i > column.offsets()[row]) text += ",";
    const Scalar item = read(column.items(), i);
    if (const auto* n = std::get_if<int64_t>(&item))
      text += std::to_string(*n);
    else if (const auto* d = std::get_if<double>(&item))
      text += std::to_string(*d);
    else if (const auto* b = std::get_if<bool>(&item))
      text += *b ? "true" : "false";
    else if (const auto* s = std::get_if<std::string>(&item))
      text += *s;
    else if (const auto* t = std::get_if<Timestamp>(&item))
      text += std::to_string(t->millis);
  }
  return text + "]";
}

// The same value in every bit (NaN equals itself).
inline bool same(const Scalar& a, const Scalar& b) {
  const auto* x = std::get_if<double>(&a);
  const auto* y = std::get_if<double>(&b);
  return x && y ? std::bit_cast<int64_t>(*x) == std::bit_cast<int64_t>(*y) : a == b;
}

struct BatchMaker {
  explicit BatchMaker(SchemaPtr the_schema) : schema(std::move(the_schema)) { start(kMinusInfinity); }
  void start(Millis watermark) {
    batch = Batch();
    batch.schema = schema;
    batch.watermark = watermark;
    columns.clear();
    for (const Field& field : schema->fields()) columns.push_back(std::make_shared<Column>(field.type));
  }
  void add(Millis time, const Row& row) {
    for (size_t i = 0; i < columns.size(); ++i) append(*columns[i], row[i]);
    batch.event_times.push_back(time);
    ++batch.length;
  }
  void move(Millis watermark) { batch.moves.push_back({batch.length, watermark}); }
  // The batch so far; the next one starts with its last watermark.
  Batch take() {
    for (auto& column : columns) batch.columns.push_back(column);
    Batch result = std::move(batch);
    start(result.watermark_after());
    return result;
  }
  SchemaPtr schema;
  Batch batch;
  std::vector<std::shared_ptr<Column>> columns;
};

struct Output {
  Millis event_time = 0;
  Millis watermark = kMinusInfinity;  // of the main stream, before it
  Row row;
};

class CollectingEmitter : public Emitter {
 public:
  void emit(Port port, Batch batch) override {
    ASSERT_EQ(batch.columns.size(), static_cast<size_t>(batch.schema->size()));
    for (const ColumnPtr& column : batch.columns) ASSERT_EQ(column->length(), batch.length);
    ASSERT_EQ(batch.event_times.size(), static_cast<size_t>(batch.length));
    largest = std::max(largest, batch.length);
    auto& rows = port == Port::kMain ? main : port == Port::kLate ? late : duplicates;
    if (port != Port::kMain) {
      EXPECT_TRUE(batch.moves.empty());
    } else {
      watermark = std::max(watermark, batch.watermark);
    }
    size_t move = 0;
    for (int64_t i = 0; i <= batch.length; ++i) {
      for (; move < batch.moves.size() && batch.moves[move].position <= i; ++move) {
        EXPECT_EQ(batch.moves[move].position, i);
        moves.push_back(batch.moves[move].watermark);
        EXPECT_GE(moves.back(), watermark);
        watermark = moves.back();
      }
      if (i == batch.length) break;
      Output output{batch.event_times[static_cast<size_t>(i)], port == Port::kMain ? watermark : kMinusInfinity, {}};
      for (const ColumnPtr& column : batch.columns) output.row.push_back(read(*column, i));
      rows.push_back(std::move(output));
    }
    EXPECT_EQ(move, batch.moves.size());
  }
  void dead_letter(const Batch& batch, int64_t row, std::string_view reason, std::string) override {
    Output output{batch.event_times[static_cast<size_t>(row)], kMinusInfinity, {std::string(reason)}};
    for (const ColumnPtr& column : batch.columns) output.row.push_back(read(*column, row));
    dead.push_back(std::move(output));
  }
  void dead_pane(Millis event_time, std::string_view reason, std::string message) override {
    dead_panes.push_back({event_time, kMinusInfinity, {std::string(reason), std::move(message)}});
  }

  std::vector<Output> main;
  std::vector<Output> late;
  std::vector<Output> duplicates;
  std::vector<Output> dead;
  std::vector<Output> dead_panes;
  std::vector<Millis> moves;
  Millis watermark = kMinusInfinity;
  int64_t largest = 0;
};

inline void finish(Step& step, Emitter& out) {
  while (step.busy()) ASSERT_TRUE(step.advance(out).ok());
}
inline void push(Step& step, Batch batch, Emitter& out) {
  step.take(std::move(batch));
  finish(step, out);
}
inline void commit(Step& step, Emitter& out) {
  step.before_commit();
  finish(step, out);
  EXPECT_TRUE(step.counts().balances());
}

// What a store holds after some freezes: per live unit its blocks.
class Checkpoint : public FreezeSink {
 public:
  void take(Step& step) {
    live_.clear();
    step.freeze(*this);
    std::erase_if(units_, [&](const auto& unit) { return !live_.contains(unit.first); });
    counts_ = step.counts();
  }
  void restore(Step& step) const {
    for (const auto& [unit, blocks] : units_) {
      for (const auto& [whole, bytes] : blocks) {
        const Status status = step.restore(unit, whole, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
        ASSERT_TRUE(status.ok()) << status.to_string();
      }
    }
    ASSERT_TRUE(step.restored(counts_).ok());
  }
  bool wants_whole(const std::string& unit) const override {
    const auto it = units_.find(unit);
    return it != units_.end() && it->second.size() >= 4;
  }
  void live(std::string unit) override { EXPECT_TRUE(live_.insert(std::move(unit)).second); }
  void block(std::string unit, bool whole, Bytes bytes) override {
    EXPECT_TRUE(live_.contains(unit));
    auto& blocks = units_[unit];
    if (whole) blocks.clear();
    EXPECT_TRUE(whole || !blocks.empty()) << unit << ": the first block holds all";
    ++blocks_written;
    bytes_written += bytes.size();
    blocks.emplace_back(whole, std::move(bytes));
  }
  std::map<std::string, std::vector<std::pair<bool, Bytes>>>& units() { return units_; }
  int blocks_written = 0;
  size_t bytes_written = 0;

 private:
  std::set<std::string> live_;
  std::map<std::string, std::vector<std::pair<bool, Bytes>>> units_;
  StepCounts counts_;
};

}  // namespace wrackline::testing

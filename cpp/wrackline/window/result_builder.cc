#include "wrackline/window/result_builder.h"

#include <cstring>

namespace wrackline {
namespace {

constexpr std::string_view kOnTime = "on_time";
constexpr std::string_view kLate = "late";

ColumnPtr int64_column(Type type, const Buffer<int64_t>& values, int64_t shift) {
  auto column = std::make_shared<Column>(type);
  Bytes& bytes = column->mutable_values();
  bytes.resize(values.size() * sizeof(int64_t));
  auto* to = reinterpret_cast<int64_t*>(bytes.data());
  for (size_t i = 0; i < values.size(); ++i) to[i] = values[i] + shift;
  column->set_length(static_cast<int64_t>(values.size()), 0);
  return column;
}

ColumnPtr on_time_column(int64_t rows) {
  auto column = std::make_shared<Column>(Type::kString);
  for (int64_t i = 0; i < rows; ++i) column->append_string(kOnTime);
  return column;
}

}  // namespace

ResultBuilder::ResultBuilder(SchemaPtr schema, const KeyPacker& keys, const Aggregates& aggregates, Millis size)
    : schema_(std::move(schema)), keys_(keys), aggregates_(aggregates), size_(size) {
  reset();
}

void ResultBuilder::reset() {
  rows_ = 0;
  late_rows_ = 0;
  key_columns_.clear();
  aggregate_columns_.clear();
  for (const Field& field : keys_.fields()) key_columns_.emplace_back(field.type);
  for (const Field& field : aggregates_.fields()) aggregate_columns_.emplace_back(field.type, field.item);
  ends_.clear();
  revisions_.clear();
  late_.clear();
  moves_.clear();
}

void ResultBuilder::append_keys(const KeyTable& table, const uint32_t* ids, size_t count) {
  const bool text = key_columns_.size() == 1 && !keys_.fields()[0].nullable &&
                    (key_columns_[0].type() == Type::kString || key_columns_[0].type() == Type::kBytes);
  if (!text) {
    for (size_t i = 0; i < count; ++i) keys_.unpack(table.key(ids[i]), key_columns_);
    return;
  }
  Column& column = key_columns_[0];
  Bytes& values = column.mutable_values();
  Buffer<int32_t>& offsets = column.mutable_offsets();
  size_t size = values.size();
  const size_t first = offsets.size();
  offsets.resize(first + count);
  size_t longest = 0;
  for (size_t i = 0; i < count; ++i) {
    const size_t length = KeyTable::length_at(table.entry(ids[i]));
    longest = std::max(longest, length);
    size += length;
    offsets[first + i] = static_cast<int32_t>(size);
  }
  // Inline keys are copied 16 bytes wide, each over the tail of the one before.
  values.resize(size + KeyTable::kInlineBytes);
  for (size_t i = 0; i < count; ++i) {
    uint8_t* place = values.data() + offsets[first + i - 1];
    if (longest <= KeyTable::kInlineBytes) {
      std::memcpy(place, table.entry(ids[i]), KeyTable::kInlineBytes);
    } else {
      const std::string_view key = table.key(ids[i]);
      std::memcpy(place, key.data(), key.size());
    }
  }
  values.resize(size);
  column.set_length(column.length() + static_cast<int64_t>(count), 0);
}

void ResultBuilder::append(const KeyTable& table, const std::vector<Pool>& pools, const uint32_t* ids, size_t count,
                           Millis end, const int64_t* revisions, bool late) {
  append_keys(table, ids, count);
  aggregates_.append_results(table, pools, ids, count, aggregate_columns_);
  ends_.insert(ends_.end(), count, end);
  if (revisions == nullptr)
    revisions_.insert(revisions_.end(), count, 0);
  else
    revisions_.insert(revisions_.end(), revisions, revisions + count);
  late_.insert(late_.end(), count, late ? 1 : 0);
  if (late) late_rows_ += static_cast<int64_t>(count);
  rows_ += static_cast<int64_t>(count);
}

void ResultBuilder::flush(Emitter& out) {
  if (rows_ == 0 && moves_.empty()) return;
  Batch batch;
  batch.schema = schema_;
  batch.length = rows_;
  batch.watermark = watermark_;
  for (Column& column : key_columns_) batch.columns.push_back(std::make_shared<Column>(std::move(column)));
  batch.columns.push_back(int64_column(Type::kTimestamp, ends_, -size_));
  batch.columns.push_back(int64_column(Type::kTimestamp, ends_, 0));
  batch.columns.push_back(int64_column(Type::kInt64, revisions_, 0));
  if (late_rows_ == 0 && rows_ == static_cast<int64_t>(kMaxRows)) {
    if (!on_time_column_) on_time_column_ = on_time_column(rows_);
    batch.columns.push_back(on_time_column_);
  } else if (late_rows_ == 0) {
    batch.columns.push_back(on_time_column(rows_));
  } else {
    auto panes = std::make_shared<Column>(Type::kString);
    for (const uint8_t is_late : late_) panes->append_string(is_late ? kLate : kOnTime);
    batch.columns.push_back(std::move(panes));
  }
  for (Column& column : aggregate_columns_) batch.columns.push_back(std::make_shared<Column>(std::move(column)));
  batch.event_times.resize(ends_.size());
  for (size_t i = 0; i < ends_.size(); ++i) batch.event_times[i] = ends_[i] - 1;
  batch.moves = std::move(moves_);
  moves_ = {};
  watermark_ = batch.watermark_after();
  reset();
  out.emit(Port::kMain, std::move(batch));
}

}  // namespace wrackline

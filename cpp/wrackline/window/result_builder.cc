#include "wrackline/window/result_builder.h"

#include <algorithm>
#include <cstring>

namespace wrackline {
namespace {

ColumnPtr int64_column(Type type, const Buffer<int64_t>& values) {
  auto column = std::make_shared<Column>(type);
  Bytes& bytes = column->mutable_values();
  bytes.resize(values.size() * sizeof(int64_t));
  if (!values.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
  column->set_length(static_cast<int64_t>(values.size()), 0);
  return column;
}

ColumnPtr on_time_column(int64_t rows) {
  auto column = std::make_shared<Column>(Type::kString);
  for (int64_t i = 0; i < rows; ++i) column->append_string(pane_name(Pane::kOnTime));
  return column;
}

}  // namespace

std::string_view pane_name(Pane pane) {
  switch (pane) {
    case Pane::kEarly: return "early";
    case Pane::kOnTime: return "on_time";
    case Pane::kLate: return "late";
    case Pane::kFinal: return "final";
    case Pane::kMerged: return "merged";
  }
  return "";
}

ResultBuilder::ResultBuilder(SchemaPtr schema, const KeyPacker& keys, const Aggregates& aggregates)
    : schema_(std::move(schema)),
      keys_(keys),
      aggregates_(aggregates),
      bounded_(!schema_->field(schema_->index_of("window_start")).nullable),
      numbered_(schema_->index_of("window_number") >= 0) {
  reset();
}

void ResultBuilder::reset() {
  rows_ = 0;
  on_time_rows_ = 0;
  key_columns_.clear();
  aggregate_columns_.clear();
  for (const Field& field : keys_.fields()) key_columns_.emplace_back(field.type);
  for (const Field& field : aggregates_.fields()) aggregate_columns_.emplace_back(field.type, field.item);
  starts_.clear();
  ends_.clear();
  numbers_.clear();
  revisions_.clear();
  panes_.clear();
  moves_.clear();
}

void ResultBuilder::append_keys(const KeyTable& table, const uint32_t* ids, size_t count) {
  if (keys_.is_fixed()) {
    Column& column = key_columns_[0];
    Bytes& values = column.mutable_values();
    const size_t size = values.size();
    values.resize(size + count * sizeof(int64_t));
    for (size_t i = 0; i < count; ++i) {
      std::memcpy(values.data() + size + i * sizeof(int64_t), table.entry(ids[i]), sizeof(int64_t));
    }
    column.set_length(column.length() + static_cast<int64_t>(count), 0);
    return;
  }
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

void ResultBuilder::append_window(Span window, size_t count, Pane pane) {
  starts_.insert(starts_.end(), count, window.start);
  ends_.insert(ends_.end(), count, window.end);
  panes_.insert(panes_.end(), count, pane);
  if (pane == Pane::kOnTime) on_time_rows_ += static_cast<int64_t>(count);
  rows_ += static_cast<int64_t>(count);
}

void ResultBuilder::append(const Entries& entries, Span window, const int64_t* revisions, Pane pane) {
  append_keys(entries.table, entries.ids, entries.count);
  aggregates_.append_results(entries.table, entries.pools, entries.ids, entries.count, aggregate_columns_);
  if (revisions == nullptr)
    revisions_.insert(revisions_.end(), entries.count, 0);
  else
    revisions_.insert(revisions_.end(), revisions, revisions + entries.count);
  append_window(window, entries.count, pane);
  if (entries.windows == nullptr) return;
  for (size_t i = 0; i < entries.count; ++i) {
    starts_[starts_.size() - entries.count + i] = entries.windows[i].start;
    ends_[ends_.size() - entries.count + i] = entries.windows[i].end;
  }
  if (numbered_) numbers_.insert(numbers_.end(), entries.numbers, entries.numbers + entries.count);
}

// What a message says of one pane: its key and its window.
std::string ResultBuilder::describe(const Entries& entries, size_t i, Span window) const {
  const std::string key = keys_.describe(entries.table.key(entries.ids[i]));
  if (!bounded_) return key + ", global window";
  if (entries.windows != nullptr) window = entries.windows[i];
  const std::string number = numbered_ ? " number " + std::to_string(entries.numbers[i]) : "";
  return key + ", window" + number + " [" + std::to_string(window.start) + ", " + std::to_string(window.end) + ")";
}

void ResultBuilder::put(const Entries& entries, Span window, const int64_t* revisions, Pane pane, StepCounts& counts,
                        Emitter& out) {
  counts.panes += static_cast<int64_t>(entries.count);
  size_t first = 0;  // of those not yet appended
  const auto append_up_to = [&](size_t stop) {
    while (first < stop) {
      const size_t size = std::min(stop - first, room());
      append(entries.part(first, size), window, revisions == nullptr ? nullptr : revisions + first, pane);
      counts.rows_out += static_cast<int64_t>(size);
      first += size;
      if (room() == 0) flush(out);
    }
  };
  if (aggregates_.may_overflow()) {
    for (size_t i = 0; i < entries.count; ++i) {
      const std::string* sum = aggregates_.overflow(entries.table.cells(entries.ids[i]));
      if (sum == nullptr) continue;
      append_up_to(i);
      first = i + 1;
      ++counts.panes_dead;
      const Millis end = entries.windows == nullptr ? window.end : entries.windows[i].end;
      out.dead_pane(end - 1, reason::kOverflow,
                    "'" + *sum + "' does not fit int64: " + describe(entries, i, window) + ", pane " +
                        std::string(pane_name(pane)) + ", revision " +
                        std::to_string(revisions == nullptr ? 0 : revisions[i]) + "; sum(..., wide=True) holds it");
    }
  }
  append_up_to(entries.count);
}

void ResultBuilder::put_merged(const KeyTable& table, uint32_t id, Span window, int64_t revision, StepCounts& counts,
                               Emitter& out) {
  append_keys(table, &id, 1);
  for (Column& column : aggregate_columns_) column.append_null();
  revisions_.push_back(revision);
  append_window(window, 1, Pane::kMerged);
  ++counts.rows_out;
  if (room() == 0) flush(out);
}

void ResultBuilder::flush(Emitter& out) {
  if (rows_ == 0 && moves_.empty()) return;
  Batch batch;
  batch.schema = schema_;
  batch.length = rows_;
  batch.watermark = watermark_;
  for (Column& column : key_columns_) batch.columns.push_back(std::make_shared<Column>(std::move(column)));
  if (bounded_) {
    batch.columns.push_back(int64_column(Type::kTimestamp, starts_));
    batch.columns.push_back(int64_column(Type::kTimestamp, ends_));
  } else {
    batch.columns.insert(batch.columns.end(), 2, null_column({"", Type::kTimestamp, true}, rows_));
  }
  if (numbered_) batch.columns.push_back(int64_column(Type::kInt64, numbers_));
  batch.columns.push_back(int64_column(Type::kInt64, revisions_));
  if (on_time_rows_ == static_cast<int64_t>(kMaxRows)) {
    if (!on_time_column_) on_time_column_ = on_time_column(rows_);
    batch.columns.push_back(on_time_column_);
  } else if (on_time_rows_ == rows_) {
    batch.columns.push_back(on_time_column(rows_));
  } else {
    auto panes = std::make_shared<Column>(Type::kString);
    for (const Pane pane : panes_) panes->append_string(pane_name(pane));
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

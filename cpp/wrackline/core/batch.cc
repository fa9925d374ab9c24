#include "wrackline/core/batch.h"

#include <algorithm>
#include <cstring>

#include "wrackline/core/status.h"

namespace wrackline {
namespace {

bool has_offsets(Type type) { return type == Type::kString || type == Type::kBytes || type == Type::kList; }

template <typename T>
void append_fixed(Bytes& values, T value) {
  const size_t at = values.size();
  values.resize(at + sizeof(T));
  std::memcpy(values.data() + at, &value, sizeof(T));
}

}  // namespace

std::string_view type_name(Type type) {
  switch (type) {
    case Type::kBool: return "bool";
    case Type::kInt64: return "int64";
    case Type::kFloat64: return "float64";
    case Type::kString: return "string";
    case Type::kBytes: return "bytes";
    case Type::kTimestamp: return "timestamp";
    case Type::kDecimal: return "decimal";
    case Type::kList: return "list";
  }
  return "unknown";
}

int Schema::index_of(std::string_view name) const {
  for (size_t i = 0; i < fields_.size(); ++i) {
    if (fields_[i].name == name) return static_cast<int>(i);
  }
  return -1;
}

std::vector<std::string> Schema::names() const {
  std::vector<std::string> names;
  names.reserve(fields_.size());
  for (const Field& field : fields_) names.push_back(field.name);
  return names;
}

Column::Column(Type type, Type item) : type_(type), item_(item) {
  if (has_offsets(type)) offsets_.push_back(0);
  if (type == Type::kList) items_ = std::make_shared<Column>(item);
}

__int128 Column::decimal_at(int64_t i) const {
  __int128 value;
  std::memcpy(&value, values_.data() + static_cast<size_t>(i) * sizeof(value), sizeof(value));
  return value;
}

void Column::append_validity(bool valid) {
  if (valid && null_count_ == 0) {
    ++length_;
    return;
  }
  const auto byte = static_cast<size_t>(length_ >> 3);
  if (null_count_ == 0) {  // the first null: all before it are valid
    validity_.assign(byte + 1, 0xff);
    validity_[byte] = static_cast<uint8_t>((1U << (length_ & 7)) - 1);
  } else if (byte == validity_.size()) {
    validity_.push_back(0);
  }
  if (valid) {
    validity_[byte] = static_cast<uint8_t>(validity_[byte] | 1U << (length_ & 7));
  } else {
    ++null_count_;
  }
  ++length_;
}

void Column::append_null() {
  switch (type_) {
    case Type::kBool: append_bool(false); break;
    case Type::kInt64:
    case Type::kTimestamp: append_int64(0); break;
    case Type::kFloat64: append_float64(0); break;
    case Type::kString:
    case Type::kBytes: append_string({}); break;
    case Type::kDecimal: append_decimal(0); break;
    case Type::kList: append_list_end(); break;
  }
  // The row was appended as valid; take that back.
  const int64_t row = --length_;
  if (null_count_ != 0) {
    validity_[static_cast<size_t>(row >> 3)] =
        static_cast<uint8_t>(validity_[static_cast<size_t>(row >> 3)] & ~(1U << (row & 7)));
  }
  append_validity(false);
}

void Column::append_bool(bool value) {
  const auto byte = static_cast<size_t>(length_ >> 3);
  if (byte == values_.size()) values_.push_back(0);
  if (value) values_[byte] = static_cast<uint8_t>(values_[byte] | 1U << (length_ & 7));
  append_validity(true);
}

void Column::append_int64(int64_t value) {
  append_fixed(values_, value);
  append_validity(true);
}

void Column::append_float64(double value) {
  append_fixed(values_, value);
  append_validity(true);
}

void Column::append_string(std::string_view value) {
  values_.insert(values_.end(), value.begin(), value.end());
  offsets_.push_back(static_cast<int32_t>(values_.size()));
  append_validity(true);
}

void Column::append_decimal(__int128 value) {
  append_fixed(values_, value);
  append_validity(true);
}

void Column::append_list_end() {
  offsets_.push_back(static_cast<int32_t>(items_->length()));
  append_validity(true);
}

void Column::append_from(const Column& other, int64_t row) {
  WL_CHECK(other.type_ == type_);
  if (other.is_null(row)) return append_null();
  switch (type_) {
    case Type::kBool: return append_bool(other.bool_at(row));
    case Type::kInt64:
    case Type::kTimestamp: return append_int64(other.int64s()[row]);
    case Type::kFloat64: return append_float64(other.float64s()[row]);
    case Type::kString:
    case Type::kBytes: return append_string(other.string_at(row));
    case Type::kDecimal: return append_decimal(other.decimal_at(row));
    case Type::kList:
      for (int32_t i = other.offsets_[static_cast<size_t>(row)]; i < other.offsets_[static_cast<size_t>(row) + 1];
           ++i) {
        items_->append_from(*other.items_, i);
      }
      return append_list_end();
  }
}

void Column::reserve(int64_t rows) {
  const auto n = static_cast<size_t>(rows);
  if (has_offsets(type_))
    offsets_.reserve(n + 1);
  else
    values_.reserve(type_ == Type::kBool ? n / 8 + 1 : n * (type_ == Type::kDecimal ? 16 : 8));
}

int64_t Column::byte_size() const {
  return static_cast<int64_t>(values_.size() + validity_.size() + offsets_.size() * sizeof(int32_t)) +
         (items_ ? items_->byte_size() : 0);
}

ColumnPtr gather(const Column& column, const Buffer<int64_t>& rows) {
  auto result = std::make_shared<Column>(column.type(), column.item());
  const bool plain = column.null_count() == 0 && (column.type() == Type::kInt64 || column.type() == Type::kTimestamp ||
                                                  column.type() == Type::kFloat64);
  if (plain) {
    Bytes& values = result->mutable_values();
    values.resize(rows.size() * sizeof(int64_t));
    auto* to = reinterpret_cast<int64_t*>(values.data());
    const int64_t* from = column.int64s();
    for (size_t i = 0; i < rows.size(); ++i) to[i] = from[rows[i]];
    result->set_length(static_cast<int64_t>(rows.size()), 0);
    return result;
  }
  if (column.null_count() == 0 && (column.type() == Type::kString || column.type() == Type::kBytes)) {
    Buffer<int32_t>& offsets = result->mutable_offsets();
    offsets.resize(rows.size() + 1);
    offsets[0] = 0;
    for (size_t i = 0; i < rows.size(); ++i)
      offsets[i + 1] = offsets[i] + static_cast<int32_t>(column.string_at(rows[i]).size());
    Bytes& values = result->mutable_values();
    values.resize(static_cast<size_t>(offsets[rows.size()]));
    for (size_t i = 0; i < rows.size(); ++i) {
      const std::string_view text = column.string_at(rows[i]);
      if (!text.empty()) std::memcpy(values.data() + offsets[i], text.data(), text.size());
    }
    result->set_length(static_cast<int64_t>(rows.size()), 0);
    return result;
  }
  result->reserve(static_cast<int64_t>(rows.size()));
  for (const int64_t row : rows) result->append_from(column, row);
  return result;
}

ColumnPtr slice(const Column& column, int64_t begin, int64_t end) {
  const auto copied = [](const auto& from, size_t first, size_t count, auto& to) {
    to.resize(count);
    if (count > 0) std::memcpy(to.data(), from + first, count * sizeof(*from));
  };
  const auto first = static_cast<size_t>(begin), rows = static_cast<size_t>(end - begin);
  auto result = std::make_shared<Column>(column.type(), column.item());
  if (column.null_count() > 0 || column.type() == Type::kBool || column.type() == Type::kList) {
    result->reserve(end - begin);
    for (int64_t row = begin; row < end; ++row) result->append_from(column, row);
    return result;
  }
  if (has_offsets(column.type())) {
    copied(column.offsets(), first, rows + 1, result->mutable_offsets());
    const int32_t base = column.offsets()[first];
    for (int32_t& offset : result->mutable_offsets()) offset -= base;
    copied(column.values().data(), static_cast<size_t>(base), static_cast<size_t>(result->offsets()[rows]),
           result->mutable_values());
  } else {
    const size_t width = column.type() == Type::kDecimal ? 16 : 8;
    copied(column.values().data(), first * width, rows * width, result->mutable_values());
  }
  result->set_length(end - begin, 0);
  return result;
}

ColumnPtr null_column(const Field& field, int64_t length) {
  auto result = std::make_shared<Column>(field.type, field.item);
  for (int64_t i = 0; i < length; ++i) result->append_null();
  return result;
}

const Column* Batch::find(std::string_view name) const {
  const int index = schema->index_of(name);
  return index < 0 ? nullptr : columns[static_cast<size_t>(index)].get();
}

Batch take_rows(const Batch& batch, const Buffer<int64_t>& rows) {
  Batch result;
  result.schema = batch.schema;
  result.length = static_cast<int64_t>(rows.size());
  result.watermark = batch.watermark;
  result.records = batch.records;
  result.origin = batch.origin;
  result.columns.reserve(batch.columns.size());
  for (const ColumnPtr& column : batch.columns) result.columns.push_back(gather(*column, rows));
  result.event_times.resize(batch.event_times.empty() ? 0 : rows.size());
  for (size_t i = 0; i < result.event_times.size(); ++i) {
    result.event_times[i] = batch.event_times[static_cast<size_t>(rows[i])];
  }
  if (!batch.record_of.empty()) {
    result.record_of.resize(rows.size());
    for (size_t i = 0; i < rows.size(); ++i) {
      result.record_of[i] = batch.record_of[static_cast<size_t>(rows[i])];
    }
  }
  if (!batch.judged_by.empty()) {
    result.judged_by.resize(rows.size());
    for (size_t i = 0; i < rows.size(); ++i) result.judged_by[i] = batch.judged_by[static_cast<size_t>(rows[i])];
  }
  result.moves.reserve(batch.moves.size());
  size_t kept = 0;  // rows kept before the move's position
  for (const Move& move : batch.moves) {
    while (kept < rows.size() && rows[kept] < move.position) ++kept;
    result.moves.push_back({static_cast<int64_t>(kept), move.watermark});
  }
  return result;
}

Batch slice_rows(const Batch& batch, int64_t begin, int64_t end) {
  const auto part = [&](const auto& all) {
    return all.empty() ? all : std::decay_t<decltype(all)>(all.begin() + begin, all.begin() + end);
  };
  Batch result;
  result.schema = batch.schema;
  result.length = end - begin;
  result.watermark = batch.watermark;
  result.records = batch.records;
  result.origin = batch.origin;
  for (const ColumnPtr& column : batch.columns) result.columns.push_back(slice(*column, begin, end));
  result.event_times = part(batch.event_times);
  result.record_of = part(batch.record_of);
  result.judged_by = part(batch.judged_by);
  for (const Move& move : batch.moves) {
    if (move.position <= begin && !(begin == 0 && move.position == 0)) {
      result.watermark = std::max(result.watermark, move.watermark);
    } else if (move.position <= end) {
      result.moves.push_back({move.position - begin, move.watermark});
    }
  }
  return result;
}

}  // namespace wrackline

#include "wrackline/codec/json_encoder.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstring>

#include "wrackline/codec/json_text.h"
#include "wrackline/core/base64.h"
#include "wrackline/time/timestamp.h"

namespace wrackline {
namespace {

constexpr size_t kMaxDecimalSize = 41;  // sign, 39 digits

// Bytes that any value needs that is no string, bytes or list.
constexpr size_t kMaxFixedSize = 48;
static_assert(kMaxFixedSize >= kMaxDecimalSize + 2 && kMaxFixedSize >= json::kMaxNumberSize &&
              kMaxFixedSize >= kIsoSize + 2);

char* put(std::string_view text, char* to) {
  std::memcpy(to, text.data(), text.size());
  return to + text.size();
}

char* put_decimal(__int128 value, char* to) {
  char digits[kMaxDecimalSize];
  char* at = digits + sizeof digits;
  const bool negative = value < 0;
  auto rest = negative ? 0 - static_cast<unsigned __int128>(value) : static_cast<unsigned __int128>(value);
  do {
    *--at = static_cast<char>('0' + static_cast<int>(rest % 10));
    rest /= 10;
  } while (rest != 0);
  *to++ = '"';
  if (negative) *to++ = '-';
  to = put({at, static_cast<size_t>(digits + sizeof digits - at)}, to);
  *to++ = '"';
  return to;
}

char* put_float64(double value, bool nan_as_string, char* to) {
  if (std::isfinite(value)) return json::write_float64(value, to);
  if (!nan_as_string) return put("null", to);
  return put(std::isnan(value) ? "\"NaN\"" : value > 0 ? "\"Infinity\"" : "\"-Infinity\"", to);
}

char* put_timestamp(Millis t, bool iso, char* to) {
  if (!iso || !in_event_time_range(t)) return json::write_int64(t, to);
  *to++ = '"';
  write_iso(t, to);
  to += kIsoSize;
  *to++ = '"';
  return to;
}

// The edges of a window are the same in row after row of a firing: their text is copied.
struct LastTime {
  Millis value = 0;
  size_t size = 0;  // 0: none yet
  std::array<char, kMaxFixedSize> text{};

  char* put(Millis t, bool iso, char* to) {
    if (size == 0 || t != value) {
      value = t;
      size = static_cast<size_t>(put_timestamp(t, iso, text.data()) - text.data());
    }
    std::memcpy(to, text.data(), kMaxFixedSize);
    return to + size;
  }
};

// Bytes that value `row` may need.
size_t max_size(const Column& column, int64_t row) {
  switch (column.type()) {
    case Type::kString: return json::max_string_size(column.string_at(row).size());
    case Type::kBytes: return column.string_at(row).size() / 3 * 4 + 8;
    case Type::kList: {
      size_t size = 2;
      for (int32_t i = column.offsets()[row]; i < column.offsets()[row + 1]; ++i)
        size += max_size(column.items(), i) + 1;
      return size;
    }
    default: return kMaxFixedSize;
  }
}

char* put_value(const Column& column, int64_t row, const JsonEncoderOptions& options, char* to) {
  if (column.is_null(row)) return put("null", to);
  switch (column.type()) {
    case Type::kBool: return column.bool_at(row) ? put("true", to) : put("false", to);
    case Type::kInt64: return json::write_int64(column.int64s()[row], to);
    case Type::kFloat64: return put_float64(column.float64s()[row], options.nan_as_string, to);
    case Type::kString: return json::write_string(column.string_at(row), to);
    case Type::kBytes: {
      *to++ = '"';
      to = put(encode_base64(column.string_at(row)), to);
      *to++ = '"';
      return to;
    }
    case Type::kTimestamp: return put_timestamp(column.int64s()[row], options.iso_times, to);
    case Type::kDecimal: return put_decimal(column.decimal_at(row), to);
    case Type::kList: {
      *to++ = '[';
      const int32_t begin = column.offsets()[row];
      for (int32_t i = begin; i < column.offsets()[row + 1]; ++i) {
        if (i > begin) *to++ = ',';
        to = put_value(column.items(), i, options, to);
      }
      *to++ = ']';
      return to;
    }
  }
  return to;
}

}  // namespace

Result<JsonEncoder> JsonEncoder::make(SchemaPtr schema, std::vector<int> value_columns, std::vector<int> key_columns,
                                      JsonEncoderOptions options) {
  for (const std::vector<int>* columns : {&value_columns, &key_columns}) {
    for (const int column : *columns) {
      if (column < 0 || column >= schema->size()) return Status::invalid("the encoder's columns are not of its schema");
    }
  }
  JsonEncoder encoder;
  for (size_t i = 0; i < value_columns.size(); ++i) {
    const std::string& name = schema->field(value_columns[i]).name;
    std::string text(json::max_string_size(name.size()), '\0');
    text.resize(static_cast<size_t>(json::write_string(name, text.data()) - text.data()));
    encoder.names_.push_back((i == 0 ? '{' : ',') + text + ':');
    encoder.as_it_is_.push_back(schema->field(value_columns[i]).json);
  }
  encoder.schema_ = std::move(schema);
  encoder.value_columns_ = std::move(value_columns);
  encoder.key_columns_ = std::move(key_columns);
  encoder.options_ = options;
  return encoder;
}

JsonEncoder JsonEncoder::all_columns(SchemaPtr schema, JsonEncoderOptions options) {
  std::vector<int> columns(static_cast<size_t>(schema->size()));
  for (size_t i = 0; i < columns.size(); ++i) columns[i] = static_cast<int>(i);
  return std::move(make(std::move(schema), std::move(columns), {}, options)).value();
}

void JsonEncoder::encode(const Batch& batch, int64_t begin, int64_t end, Millis timestamp, Records& out) const {
  encode_each(batch, end - begin, [begin](int64_t i) { return begin + i; }, timestamp, out);
}

void JsonEncoder::encode(const Batch& batch, std::span<const int64_t> rows, Millis timestamp, Records& out) const {
  encode_each(
      batch, static_cast<int64_t>(rows.size()), [rows](int64_t i) { return rows[static_cast<size_t>(i)]; }, timestamp,
      out);
}

template <typename RowAt>
void JsonEncoder::encode_each(const Batch& batch, int64_t count, RowAt row_at, Millis timestamp, Records& out) const {
  std::vector<const Column*> values;
  std::vector<const Column*> keys;
  size_t fixed = 3;  // braces, and the '\n' behind the value
  for (size_t i = 0; i < value_columns_.size(); ++i) {
    values.push_back(&batch.column(value_columns_[i]));
    fixed += names_[i].size() + kMaxFixedSize;
  }
  for (const int column : key_columns_) keys.push_back(&batch.column(column));
  const auto extra = [](const std::vector<const Column*>& columns, int64_t row) {
    size_t size = 0;
    for (const Column* column : columns) {
      const Type type = column->type();
      if (type == Type::kString || type == Type::kBytes || type == Type::kList) size += max_size(*column, row);
    }
    return size;
  };

  // What most rows need: strings as they are, numbers of usual length.
  const auto rows = static_cast<size_t>(count);
  const auto usual = [&](const std::vector<const Column*>& columns) {
    size_t size = 0;
    for (const Column* column : columns) {
      const bool text = column->type() == Type::kString || column->type() == Type::kBytes;
      size += rows * 14;
      if (text) size += static_cast<size_t>(column->offsets()[batch.length]) * rows / static_cast<size_t>(batch.length);
    }
    return size;
  };
  std::vector<LastTime> last_times(values.size());
  Records::Writer writer(out);
  if (rows > 1) writer.expect(rows, usual(keys), usual(values) + rows * (fixed - values.size() * kMaxFixedSize));
  for (int64_t i = 0; i < count; ++i) {
    const int64_t row = row_at(i);
    if (!keys.empty()) {
      char* const start = writer.key_room(2 + keys.size() * (kMaxFixedSize + 1) + extra(keys, row));
      char* to = start;
      for (size_t k = 0; k < keys.size(); ++k) {
        *to++ = k == 0 ? '[' : ',';
        to = put_value(*keys[k], row, options_, to);
      }
      *to++ = ']';
      writer.set_key(static_cast<size_t>(to - start));
    }
    char* const start = writer.value_room(fixed + extra(values, row));
    char* to = start;
    if (values.empty()) *to++ = '{';
    for (size_t v = 0; v < values.size(); ++v) {
      to = put(names_[v], to);
      const Column& column = *values[v];
      const bool time = column.type() == Type::kTimestamp && !column.is_null(row);
      if (time)
        to = last_times[v].put(column.int64s()[row], options_.iso_times, to);
      else if (as_it_is_[v] && !column.is_null(row))
        to = put(column.string_at(row), to);
      else
        to = put_value(column, row, options_, to);
    }
    *to++ = '}';
    writer.end_record(static_cast<size_t>(to - start), timestamp);
  }
}

void JsonEncoder::append_array(const Batch& batch, int64_t row, const std::vector<int>& columns, Bytes& out) const {
  size_t size = 2;
  for (const int column : columns) size += std::max(max_size(batch.column(column), row), kMaxFixedSize) + 1;
  const size_t used = out.size();
  out.resize(used + size);
  char* const start = reinterpret_cast<char*>(out.data()) + used;
  char* to = start;
  *to++ = '[';
  for (size_t i = 0; i < columns.size(); ++i) {
    if (i > 0) *to++ = ',';
    to = put_value(batch.column(columns[i]), row, options_, to);
  }
  *to++ = ']';
  out.resize(used + static_cast<size_t>(to - start));
}

}  // namespace wrackline

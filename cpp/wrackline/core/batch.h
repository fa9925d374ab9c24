// Batch: rows in columns (Arrow memory layout), and beside them what the stations need: event
// times, the moves of the watermark, and which raw record each row came from.
//
// Columns are shared and immutable once they are in a batch: a step that only drops or adds
// columns copies nothing.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "wrackline/core/buffer.h"
#include "wrackline/core/records.h"
#include "wrackline/core/types.h"

namespace wrackline {

enum class Type : uint8_t {
  kBool,  // one bit a row
  kInt64,
  kFloat64,
  kString,     // UTF-8, int32 offsets
  kBytes,      // int32 offsets
  kTimestamp,  // int64 milliseconds, UTC
  kDecimal,    // 128-bit integer, Arrow decimal128(38, 0): sums that int64 cannot hold
  kList,       // of Field::item, int32 offsets
};

std::string_view type_name(Type type);  // "bool", "int64", "float64", "string", ...

struct Field {
  std::string name;
  Type type = Type::kInt64;
  bool nullable = false;
  Type item = Type::kInt64;  // of a list
  bool json = false;         // of a string: it is JSON text of any shape, and is written as it is
  friend bool operator==(const Field&, const Field&) = default;
};

class Schema {
 public:
  Schema() = default;
  explicit Schema(std::vector<Field> fields) : fields_(std::move(fields)) {}
  const std::vector<Field>& fields() const { return fields_; }
  const Field& field(int index) const { return fields_[static_cast<size_t>(index)]; }
  int size() const { return static_cast<int>(fields_.size()); }
  int index_of(std::string_view name) const;  // -1: no such field
  std::vector<std::string> names() const;
  friend bool operator==(const Schema&, const Schema&) = default;

 private:
  std::vector<Field> fields_;
};

using SchemaPtr = std::shared_ptr<const Schema>;

// One column. Built with the append_* calls or by filling the buffers; then shared as ColumnPtr.
class Column {
 public:
  explicit Column(Type type, Type item = Type::kInt64);

  Type type() const { return type_; }
  Type item() const { return item_; }
  int64_t length() const { return length_; }
  int64_t null_count() const { return null_count_; }
  bool is_null(int64_t i) const {
    return null_count_ != 0 && (validity_[static_cast<size_t>(i >> 3)] >> (i & 7) & 1) == 0;
  }

  // Readers. REQUIRES: the type fits; a null row reads as zero or empty.
  bool bool_at(int64_t i) const { return (values_[static_cast<size_t>(i >> 3)] >> (i & 7) & 1) != 0; }
  const int64_t* int64s() const { return reinterpret_cast<const int64_t*>(values_.data()); }  // also timestamps
  const double* float64s() const { return reinterpret_cast<const double*>(values_.data()); }
  __int128 decimal_at(int64_t i) const;
  std::string_view string_at(int64_t i) const {  // also bytes
    const auto row = static_cast<size_t>(i);
    return {reinterpret_cast<const char*>(values_.data()) + offsets_[row],
            static_cast<size_t>(offsets_[row + 1] - offsets_[row])};
  }
  const int32_t* offsets() const { return offsets_.data(); }
  const Column& items() const { return *items_; }

  // Writers: one row each.
  void append_null();
  void append_bool(bool value);
  void append_int64(int64_t value);  // also timestamps
  void append_float64(double value);
  void append_string(std::string_view value);  // also bytes
  void append_decimal(__int128 value);
  void append_list_end();  // closes a list whose items were appended to mutable_items()
  Column& mutable_items() { return *items_; }
  void append_from(const Column& other, int64_t row);  // REQUIRES: same type
  void reserve(int64_t rows);

  // Bulk access for codecs and kernels; set_length() after filling. `validity` stays empty while
  // nothing is null.
  Bytes& mutable_values() { return values_; }
  Buffer<int32_t>& mutable_offsets() { return offsets_; }
  Bytes& mutable_validity() { return validity_; }
  const Bytes& values() const { return values_; }
  const Bytes& validity() const { return validity_; }
  void set_length(int64_t length, int64_t null_count) {
    length_ = length;
    null_count_ = null_count;
  }
  int64_t byte_size() const;

 private:
  void append_validity(bool valid);

  Type type_;
  Type item_;
  int64_t length_ = 0;
  int64_t null_count_ = 0;
  Bytes validity_;                 // bit per row, least significant first; empty while nothing is null
  Bytes values_;                   // fixed width, bits for bool, bytes for string and bytes
  Buffer<int32_t> offsets_;        // string, bytes, list: length + 1
  std::shared_ptr<Column> items_;  // list; never shared while this column is being built
};

using ColumnPtr = std::shared_ptr<const Column>;

// Rows at `rows` of `column`, in that order.
ColumnPtr gather(const Column& column, const Buffer<int64_t>& rows);
ColumnPtr slice(const Column& column, int64_t begin, int64_t end);
// `length` rows that are all null.
ColumnPtr null_column(const Field& field, int64_t length);

// From row `position` on, rows are judged by `watermark` (it was moved by the row before, or by a
// row that is no longer here). Moves of one position stay separate: each may fire.
struct Move {
  int64_t position = 0;
  Millis watermark = kMinusInfinity;
  friend bool operator==(const Move&, const Move&) = default;
};

struct Batch {
  SchemaPtr schema;
  std::vector<ColumnPtr> columns;
  int64_t length = 0;

  Buffer<Millis> event_times;         // one per row; none yet in rows that are read
  Millis watermark = kMinusInfinity;  // that the first row is judged by
  std::vector<Move> moves;            // ascending in position and in watermark
  // Of a task with several inputs: the watermark of each row's own input before it, by which it is judged; what the
  // moves say is the minimum of all, which fires and frees. Empty: the moves judge, too.
  Buffer<Millis> judged_by;

  // Where rows come from: row i is records->...(record_of[i]). Null below a window.
  std::shared_ptr<const Records> records;
  std::shared_ptr<const TopicPartition> origin;  // of records
  Buffer<uint32_t> record_of;

  // What row `row` is judged by, where W is `watermark` (semantics.md 2).
  Millis judged(int64_t row, Millis watermark) const {
    return judged_by.empty() ? watermark : std::max(watermark, judged_by[static_cast<size_t>(row)]);
  }
  Millis watermark_after() const { return moves.empty() ? watermark : moves.back().watermark; }
  const Column& column(int index) const { return *columns[static_cast<size_t>(index)]; }
  // Null when there is no such column.
  const Column* find(std::string_view name) const;
};

// The rows of `batch` whose index is in `rows` (ascending); moves keep their place between them.
Batch take_rows(const Batch& batch, const Buffer<int64_t>& rows);
// Rows [begin, end) with the moves whose position lies in (begin, end], and those at 0 if begin is 0.
Batch slice_rows(const Batch& batch, int64_t begin, int64_t end);

}  // namespace wrackline

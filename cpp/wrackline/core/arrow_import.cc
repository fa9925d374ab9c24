// Import: each array is copied by the plan that was made of its schema, column by column.
#include <algorithm>
#include <cstring>
#include <limits>
#include <string>
#include <string_view>
#include <utility>

#include "wrackline/core/arrow.h"
#include "wrackline/core/arrow_plan.h"

namespace wrackline {
namespace {

using arrow::Layout;
using arrow::make_table_plan;
using arrow::Plan;
using arrow::TablePlan;
using arrow::wrong;

constexpr int64_t kMaxOffset = std::numeric_limits<int32_t>::max();
constexpr int64_t kPieceRows = 4096;  // what a task takes at once, so that it need not copy rows again

// Rows [begin, begin + length) of an array, counted from the start of its buffers.
struct Span {
  const ArrowArray& array;
  int64_t begin;
  int64_t length;
  const uint8_t* validity;  // null: all valid

  Span(const ArrowArray& a, int64_t begin_row, int64_t rows)
      : array(a),
        begin(begin_row + a.offset),
        length(rows),
        validity(a.null_count == 0 || a.n_buffers == 0 ? nullptr : static_cast<const uint8_t*>(a.buffers[0])) {}
  int64_t number(int64_t row) const { return begin - array.offset + row; }  // for messages
  bool valid(int64_t row) const {
    const int64_t bit = begin + row;
    return validity == nullptr || (validity[bit >> 3] >> (bit & 7) & 1) != 0;
  }
  template <typename T>
  const T* buffer(int index) const {
    return static_cast<const T*>(array.buffers[index]);
  }
};

// Copies bits [begin, begin + length), with zeros behind the last one.
void copy_bits(const uint8_t* from, int64_t begin, int64_t length, Bytes& to) {
  to.assign(static_cast<size_t>((length + 7) / 8), 0);
  if ((begin & 7) == 0) {
    if (!to.empty()) std::memcpy(to.data(), from + (begin >> 3), to.size());
    if ((length & 7) != 0) to.back() = static_cast<uint8_t>(to.back() & ((1U << (length & 7)) - 1));
    return;
  }
  for (int64_t i = 0; i < length; ++i) {
    const int64_t bit = begin + i;
    const unsigned value = from[bit >> 3] >> (bit & 7) & 1U;
    to[static_cast<size_t>(i >> 3)] = static_cast<uint8_t>(to[static_cast<size_t>(i >> 3)] | value << (i & 7));
  }
}

// The column's validity and length, when its values are in place.
void finish(const Span& span, Column& column) {
  int64_t nulls = 0;
  if (span.validity != nullptr) {
    for (int64_t row = 0; row < span.length; ++row) nulls += span.valid(row) ? 0 : 1;
    if (nulls > 0) copy_bits(span.validity, span.begin, span.length, column.mutable_validity());
  }
  column.set_length(span.length, nulls);
}

Status missing(const Plan& plan) { return wrong(plan, "a buffer is missing"); }

// Values of a fixed width, each through `convert`; a null row becomes zero.
template <typename To, typename From, typename Convert>
void copy_values(const Span& span, Column& column, Convert convert) {
  Bytes& values = column.mutable_values();
  values.resize(static_cast<size_t>(span.length) * sizeof(To));
  auto* to = reinterpret_cast<To*>(values.data());
  const From* from = span.buffer<From>(1) + span.begin;
  if (span.validity == nullptr) {
    for (int64_t row = 0; row < span.length; ++row) to[row] = convert(from[row]);
  } else {
    for (int64_t row = 0; row < span.length; ++row) to[row] = span.valid(row) ? convert(from[row]) : To{};
  }
}

template <typename From>
void copy_integers(const Span& span, Column& column) {
  copy_values<int64_t, From>(span, column, [](From value) { return static_cast<int64_t>(value); });
}

// The first row whose value is not between `low` and `high`; -1: none.
template <typename From>
int64_t out_of_range(const Span& span, From low, From high) {
  const From* from = span.buffer<From>(1) + span.begin;
  for (int64_t row = 0; row < span.length; ++row) {
    if ((from[row] < low || from[row] > high) && span.valid(row)) return row;
  }
  return -1;
}

Status copy_unsigned64(const Plan& plan, const Span& span, Column& column) {
  const int64_t row = out_of_range<uint64_t>(span, 0, static_cast<uint64_t>(std::numeric_limits<int64_t>::max()));
  if (row >= 0) {
    return wrong(plan, "row " + std::to_string(span.number(row)) + ": " +
                           std::to_string(span.buffer<uint64_t>(1)[span.begin + row]) + " is beyond int64");
  }
  copy_integers<uint64_t>(span, column);
  return {};
}

Status copy_seconds(const Plan& plan, const Span& span, Column& column) {
  constexpr int64_t kLimit = std::numeric_limits<int64_t>::max() / 1000;
  const int64_t row = out_of_range<int64_t>(span, -kLimit, kLimit);
  if (row >= 0)
    return wrong(plan, "row " + std::to_string(span.number(row)) + ": the time is beyond int64 milliseconds");
  copy_values<int64_t, int64_t>(span, column, [](int64_t value) { return value * 1000; });
  return {};
}

// Signals that fewer rows have to be taken at once.
Status too_much_text(const Plan& plan) {
  return {Code::kRetriable, "column '" + plan.name + "': more than 2 GiB in one batch"};
}

Status append_text(const Plan& plan, std::string_view text, Column& column) {
  Bytes& values = column.mutable_values();
  if (static_cast<int64_t>(values.size() + text.size()) > kMaxOffset) return too_much_text(plan);
  values.insert(values.end(), text.begin(), text.end());
  return {};
}

template <typename Offset>
Status copy_text(const Plan& plan, const Span& span, Column& column) {
  const Offset* offsets = span.buffer<Offset>(1) + span.begin;
  const char* bytes = span.buffer<char>(2);
  if (offsets[0] < 0 || offsets[span.length] < offsets[0]) return wrong(plan, "its offsets go back");
  const auto size = static_cast<int64_t>(offsets[span.length] - offsets[0]);
  if (size > 0 && bytes == nullptr) return missing(plan);
  Buffer<int32_t>& ends = column.mutable_offsets();
  ends.resize(static_cast<size_t>(span.length) + 1);
  ends[0] = 0;
  if (size <= kMaxOffset) column.mutable_values().reserve(static_cast<size_t>(size));
  for (int64_t row = 0; row < span.length; ++row) {
    if (offsets[row + 1] < offsets[row]) return wrong(plan, "its offsets go back");
    if (span.valid(row) && offsets[row + 1] > offsets[row]) {
      WL_RETURN_IF_ERROR(
          append_text(plan, {bytes + offsets[row], static_cast<size_t>(offsets[row + 1] - offsets[row])}, column));
    }
    ends[static_cast<size_t>(row) + 1] = static_cast<int32_t>(column.values().size());
  }
  return {};
}

// 16 bytes a row: the length, then the text itself if it has up to 12 bytes, else its first four bytes, the
// number of its data buffer and the place there.
struct View {
  int32_t size;
  char inlined[12];
};
static_assert(sizeof(View) == 16);

Status copy_views(const Plan& plan, const Span& span, Column& column) {
  const View* views = span.buffer<View>(1) + span.begin;
  const int64_t data_buffers = span.array.n_buffers - 3;  // behind validity and views, before their sizes
  Buffer<int32_t>& ends = column.mutable_offsets();
  ends.resize(static_cast<size_t>(span.length) + 1);
  ends[0] = 0;
  for (int64_t row = 0; row < span.length; ++row) {
    if (span.valid(row)) {
      const View& view = views[row];
      if (view.size < 0) return wrong(plan, "a view of negative length");
      const char* text = view.inlined;
      if (view.size > 12) {
        int32_t place[2];
        std::memcpy(place, view.inlined + 4, sizeof(place));
        if (place[0] < 0 || place[0] >= data_buffers || place[1] < 0) return wrong(plan, "a view of no buffer");
        text = span.buffer<char>(2 + place[0]) + place[1];
      }
      WL_RETURN_IF_ERROR(append_text(plan, {text, static_cast<size_t>(view.size)}, column));
    }
    ends[static_cast<size_t>(row) + 1] = static_cast<int32_t>(column.values().size());
  }
  return {};
}

Status copy_fixed_text(const Plan& plan, const Span& span, Column& column) {
  const char* bytes = span.buffer<char>(1) + span.begin * plan.width;
  Buffer<int32_t>& ends = column.mutable_offsets();
  ends.resize(static_cast<size_t>(span.length) + 1);
  ends[0] = 0;
  for (int64_t row = 0; row < span.length; ++row) {
    if (span.valid(row)) {
      WL_RETURN_IF_ERROR(append_text(plan, {bytes + row * plan.width, static_cast<size_t>(plan.width)}, column));
    }
    ends[static_cast<size_t>(row) + 1] = static_cast<int32_t>(column.values().size());
  }
  return {};
}

void copy_bools(const Span& span, Column& column) {
  copy_bits(span.buffer<uint8_t>(1), span.begin, span.length, column.mutable_values());
  if (span.validity == nullptr) return;
  Bytes valid;
  copy_bits(span.validity, span.begin, span.length, valid);
  for (size_t i = 0; i < valid.size(); ++i) column.mutable_values()[i] &= valid[i];
}

Result<Column> import_rows(const Plan& plan, const ArrowArray& array, int64_t begin, int64_t length);

template <typename Offset>
Result<Column> import_list(const Plan& plan, const Span& span) {
  const Offset* offsets = span.buffer<Offset>(1) + span.begin;
  const Offset first = offsets[0];
  if (first < 0 || offsets[span.length] < first) return wrong(plan, "its offsets go back");
  if (span.array.n_children != 1) return missing(plan);
  const auto items = static_cast<int64_t>(offsets[span.length] - first);
  if (items > kMaxOffset) return too_much_text(plan);
  Column column(Type::kList, plan.item_type());
  WL_ASSIGN_OR_RETURN(column.mutable_items(), import_rows(plan.item[0], *span.array.children[0], first, items));
  Buffer<int32_t>& ends = column.mutable_offsets();
  ends.resize(static_cast<size_t>(span.length) + 1);
  ends[0] = 0;
  bool items_of_nulls = false;
  for (int64_t row = 0; row < span.length; ++row) {
    if (offsets[row + 1] < offsets[row]) return wrong(plan, "its offsets go back");
    ends[static_cast<size_t>(row) + 1] = static_cast<int32_t>(offsets[row + 1] - first);
    items_of_nulls = items_of_nulls || (offsets[row + 1] > offsets[row] && !span.valid(row));
  }
  finish(span, column);
  if (!items_of_nulls) return column;
  Column clean(Type::kList, plan.item_type());  // a null row of ours has no items
  for (int64_t row = 0; row < span.length; ++row) clean.append_from(column, row);
  return clean;
}

Result<Column> import_dictionary(const Plan& plan, const Column& index, const ArrowArray& array) {
  if (array.dictionary == nullptr) return wrong(plan, "its dictionary is missing");
  WL_ASSIGN_OR_RETURN(const Column values,
                      import_rows(plan.dictionary[0], *array.dictionary, 0, array.dictionary->length));
  Column column(plan.type);
  column.reserve(index.length());
  int64_t bytes = 0;
  for (int64_t row = 0; row < index.length(); ++row) {
    if (index.is_null(row)) {
      column.append_null();
      continue;
    }
    const int64_t at = index.int64s()[row];
    if (at < 0 || at >= values.length()) {
      return wrong(plan, "row " + std::to_string(row) + ": no entry " + std::to_string(at) + " in its dictionary");
    }
    if (plan.type == Type::kString || plan.type == Type::kBytes) {
      bytes += static_cast<int64_t>(values.string_at(at).size());
      if (bytes > kMaxOffset) return too_much_text(plan);
    }
    column.append_from(values, at);
  }
  return column;
}

Status copy_column(const Plan& plan, const Span& span, Column& column) {
  switch (plan.layout) {
    case Layout::kBits: copy_bools(span, column); return {};
    case Layout::kInt8: copy_integers<int8_t>(span, column); return {};
    case Layout::kUint8: copy_integers<uint8_t>(span, column); return {};
    case Layout::kInt16: copy_integers<int16_t>(span, column); return {};
    case Layout::kUint16: copy_integers<uint16_t>(span, column); return {};
    case Layout::kInt32: copy_integers<int32_t>(span, column); return {};
    case Layout::kUint32: copy_integers<uint32_t>(span, column); return {};
    case Layout::kInt64:
    case Layout::kMillis: copy_integers<int64_t>(span, column); return {};
    case Layout::kUint64: return copy_unsigned64(plan, span, column);
    case Layout::kFloat32:
      copy_values<double, float>(span, column, [](float value) { return static_cast<double>(value); });
      return {};
    case Layout::kFloat64: copy_values<double, double>(span, column, [](double value) { return value; }); return {};
    case Layout::kDecimal128: {
      struct Decimal {
        uint64_t low, high;
      };
      copy_values<Decimal, Decimal>(span, column, [](Decimal value) { return value; });
      return {};
    }
    case Layout::kSeconds: return copy_seconds(plan, span, column);
    case Layout::kMicros:
      copy_values<int64_t, int64_t>(span, column, [](int64_t value) { return floor_div(value, 1'000); });
      return {};
    case Layout::kNanos:
      copy_values<int64_t, int64_t>(span, column, [](int64_t value) { return floor_div(value, 1'000'000); });
      return {};
    case Layout::kDays:
      copy_values<int64_t, int32_t>(span, column, [](int32_t days) { return int64_t{days} * 86'400'000; });
      return {};
    case Layout::kText32: return copy_text<int32_t>(plan, span, column);
    case Layout::kText64: return copy_text<int64_t>(plan, span, column);
    case Layout::kTextView: return copy_views(plan, span, column);
    case Layout::kFixedText: return copy_fixed_text(plan, span, column);
    case Layout::kNull:
    case Layout::kList32:
    case Layout::kList64: break;
  }
  return wrong(plan, "not supported here");
}

int64_t buffers_of(Layout layout) {
  switch (layout) {
    case Layout::kNull: return 0;
    case Layout::kText32:
    case Layout::kText64:
    case Layout::kTextView: return 3;
    default: return 2;
  }
}

// Rows [begin, begin + length) of `array`, not counting its own offset.
Result<Column> import_rows(const Plan& plan, const ArrowArray& array, int64_t begin, int64_t length) {
  if (begin < 0 || length < 0 || array.offset < 0 || begin + length > array.length) {
    return wrong(plan, "it has " + std::to_string(array.length) + " rows where " + std::to_string(begin + length) +
                           " are needed");
  }
  if (array.n_buffers < buffers_of(plan.layout)) return missing(plan);
  const Type index_type = plan.dictionary.empty() ? plan.type : Type::kInt64;
  Column column(index_type, plan.item_type());
  if (length > 0 && plan.layout == Layout::kNull) {
    return Column(*null_column({plan.name, plan.type, true, Type::kInt64}, length));
  }
  if (length > 0) {
    const Span span(array, begin, length);
    if (array.buffers[1] == nullptr && !(plan.layout == Layout::kFixedText && plan.width == 0)) return missing(plan);
    if (plan.layout == Layout::kList32) return import_list<int32_t>(plan, span);
    if (plan.layout == Layout::kList64) return import_list<int64_t>(plan, span);
    WL_RETURN_IF_ERROR(copy_column(plan, span, column));
    finish(span, column);
  }
  if (!plan.dictionary.empty()) return import_dictionary(plan, column, array);
  return column;
}

Status import_range(TablePlan& table, const ArrowArray& array, int64_t begin, int64_t length,
                    std::vector<Batch>& batches) {
  Batch batch;
  batch.length = length;
  for (size_t i = 0; i < table.columns.size(); ++i) {
    Result<Column> column = import_rows(table.columns[i], *array.children[i], array.offset + begin, length);
    if (!column.ok() && column.status().code() == Code::kRetriable) {
      if (length == 1) return Status::invalid(column.status().message());
      WL_RETURN_IF_ERROR(import_range(table, array, begin, length / 2, batches));
      return import_range(table, array, begin + length / 2, length - length / 2, batches);
    }
    if (!column.ok()) return column.status();
    table.columns[i].nullable = table.columns[i].nullable || column->null_count() > 0;
    batch.columns.push_back(std::make_shared<const Column>(std::move(*column)));
  }
  batches.push_back(std::move(batch));
  return {};
}

Status import_array(TablePlan& table, const ArrowArray& array, std::vector<Batch>& batches) {
  if (array.n_children != static_cast<int64_t>(table.columns.size())) {
    return Status::invalid("a batch has " + std::to_string(array.n_children) + " columns, its schema " +
                           std::to_string(table.columns.size()));
  }
  const Span rows(array, 0, array.length);
  for (int64_t row = 0; rows.validity != nullptr && row < array.length; ++row) {
    if (!rows.valid(row)) return Status::invalid("row " + std::to_string(row) + " of the table is null as a whole");
  }
  // A dictionary is copied with each piece.
  const auto encoded = [](const Plan& plan) {
    return !plan.dictionary.empty() || (!plan.item.empty() && !plan.item[0].dictionary.empty());
  };
  const bool whole = std::any_of(table.columns.begin(), table.columns.end(), encoded);
  const int64_t size = whole ? std::max<int64_t>(array.length, 1) : kPieceRows;
  int64_t begin = 0;
  do {
    WL_RETURN_IF_ERROR(import_range(table, array, begin, std::min(size, array.length - begin), batches));
    begin += size;
  } while (begin < array.length);
  return {};
}

ImportedTable finish_table(const TablePlan& table, std::vector<Batch> batches) {
  std::vector<Field> fields;
  for (const Plan& plan : table.columns) fields.push_back({plan.name, plan.type, plan.nullable, plan.item_type()});
  ImportedTable result{std::make_shared<const Schema>(std::move(fields)), std::move(batches)};
  for (Batch& batch : result.batches) batch.schema = result.schema;
  return result;
}

// Releases what was given to us, whatever happens.
template <typename T>
class Releaser {
 public:
  explicit Releaser(T* given) : given_(given) {}
  ~Releaser() {
    if (given_ != nullptr && given_->release != nullptr) given_->release(given_);
  }
  Releaser(const Releaser&) = delete;
  Releaser& operator=(const Releaser&) = delete;

 private:
  T* given_;
};

Status stream_failure(ArrowArrayStream* stream, int error) {
  const char* message = stream->get_last_error(stream);
  return Status::invalid("reading the Arrow stream failed: " +
                         (message != nullptr ? std::string(message) : "error " + std::to_string(error)));
}

}  // namespace

Result<ImportedTable> import_stream(ArrowArrayStream* stream) {
  if (stream->release == nullptr) return Status::invalid("the Arrow stream was read already");
  const Releaser stream_releaser(stream);
  ArrowSchema schema{};
  const Releaser schema_releaser(&schema);
  if (const int error = stream->get_schema(stream, &schema); error != 0) return stream_failure(stream, error);
  WL_ASSIGN_OR_RETURN(TablePlan table, make_table_plan(schema));
  std::vector<Batch> batches;
  while (true) {
    ArrowArray array{};
    const Releaser array_releaser(&array);
    if (const int error = stream->get_next(stream, &array); error != 0) return stream_failure(stream, error);
    if (array.release == nullptr) break;
    WL_RETURN_IF_ERROR(import_array(table, array, batches));
  }
  return finish_table(table, std::move(batches));
}

Result<ImportedTable> import_batch(ArrowSchema* schema, ArrowArray* array) {
  const Releaser schema_releaser(schema);
  const Releaser array_releaser(array);
  if (schema->release == nullptr || array->release == nullptr)
    return Status::invalid("the Arrow batch was taken already");
  WL_ASSIGN_OR_RETURN(TablePlan table, make_table_plan(*schema));
  std::vector<Batch> batches;
  WL_RETURN_IF_ERROR(import_array(table, *array, batches));
  return finish_table(table, std::move(batches));
}

}  // namespace wrackline

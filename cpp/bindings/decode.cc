// The rows that a job wrote to a topic as JSON, in columns again: files and functions are given them.
#include "bindings.h"
#include "log.h"
#include "table.h"
#include <pybind11/stl.h>

#include "wrackline/codec/json_decoder.h"

namespace wrackline::bindings {
namespace {

constexpr int kMaxDepth = 1'000;

// As the decoder is to read it. Times are taken as the numbers that they are: it would refuse an edge of a window
// that lies beyond the year 9999.
Field read_as(Field field) {
  if (field.type == Type::kTimestamp) field.type = Type::kInt64;
  if (field.type == Type::kDecimal) field.type = Type::kString;
  if (field.type == Type::kList && field.item == Type::kDecimal) field.item = Type::kString;
  if (field.json) field.nullable = true;
  return field;
}

Result<__int128> parse_decimal(std::string_view text) {
  const bool negative = text.starts_with('-');
  const std::string_view digits = text.substr(negative ? 1 : 0);
  unsigned __int128 value = 0;
  bool good = !digits.empty() && digits.size() <= 39;
  for (const char digit : digits) {
    good = good && digit >= '0' && digit <= '9';
    value = value * 10 + static_cast<unsigned>(digit - '0');
  }
  if (!good) return Status::corruption("\"" + std::string(text) + "\" is no decimal");
  return static_cast<__int128>(negative ? 0 - value : value);
}

Result<ColumnPtr> decimals(const Column& texts) {
  auto column = std::make_shared<Column>(Type::kDecimal);
  column->reserve(texts.length());
  for (int64_t i = 0; i < texts.length(); ++i) {
    if (texts.is_null(i)) {
      column->append_null();
      continue;
    }
    WL_ASSIGN_OR_RETURN(const __int128 value, parse_decimal(texts.string_at(i)));
    column->append_decimal(value);
  }
  return ColumnPtr(std::move(column));
}

Result<ColumnPtr> decimal_lists(const Column& lists) {
  WL_ASSIGN_OR_RETURN(const ColumnPtr items, decimals(lists.items()));
  auto column = std::make_shared<Column>(Type::kList, Type::kDecimal);
  for (int64_t row = 0; row < lists.length(); ++row) {
    if (lists.is_null(row)) {
      column->append_null();
      continue;
    }
    for (int32_t i = lists.offsets()[row]; i < lists.offsets()[row + 1]; ++i)
      column->mutable_items().append_from(*items, i);
    column->append_list_end();
  }
  return ColumnPtr(std::move(column));
}

ColumnPtr times(const Column& numbers) {
  auto column = std::make_shared<Column>(Type::kTimestamp);
  column->mutable_values() = numbers.values();
  column->mutable_validity() = numbers.validity();
  column->set_length(numbers.length(), numbers.null_count());
  return column;
}

Result<Table> decode(const RecordsView& view, const SchemaPtr& schema) {
  std::vector<Field> fields;
  for (const Field& field : schema->fields()) fields.push_back(read_as(field));
  JsonDecoderOptions options;
  options.max_record_bytes = INT64_C(1) << 30;
  options.max_depth = kMaxDepth;
  options.encoded = true;
  WL_ASSIGN_OR_RETURN(JsonDecoder decoder, JsonDecoder::make(Schema(std::move(fields)), std::move(options)));
  Decoded decoded = decoder.decode(view.records);
  if (!decoded.bad.empty()) {
    const BadRecord& bad = decoded.bad.front();
    return Status::corruption("the record at offset " + std::to_string(view.records->offset(bad.record)) +
                              " is not what the job writes: " + bad.message);
  }
  auto batch = std::make_shared<Batch>();
  batch->schema = schema;
  batch->length = decoded.batch.length;
  for (int i = 0; i < schema->size(); ++i) {
    const Field& field = schema->field(i);
    ColumnPtr column = std::move(decoded.batch.columns[static_cast<size_t>(i)]);
    if (field.type == Type::kTimestamp) {
      column = times(*column);
    } else if (field.type == Type::kDecimal) {
      WL_ASSIGN_OR_RETURN(column, decimals(*column));
    } else if (field.type == Type::kList && field.item == Type::kDecimal) {
      WL_ASSIGN_OR_RETURN(column, decimal_lists(*column));
    }
    batch->columns.push_back(std::move(column));
  }
  return Table(schema, {std::move(batch)});
}

}  // namespace

void register_decode(py::module_& m) {
  m.def(
      "decode",
      [](const RecordsView& records, const std::vector<FieldTuple>& schema) {
        return check(without_gil([&, wanted = make_schema(schema)] { return decode(records, wanted); }));
      },
      py::arg("records"), py::arg("schema"));
}

}  // namespace wrackline::bindings

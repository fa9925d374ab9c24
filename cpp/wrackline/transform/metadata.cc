#include "wrackline/transform/metadata.h"

#include <map>

#include "wrackline/codec/json_text.h"

namespace wrackline {
namespace {

std::string quoted(std::string_view text) {
  std::string made(json::max_string_size(text.size()), '\0');
  made.resize(static_cast<size_t>(json::write_string(text, made.data()) - made.data()));
  return made;
}

std::string headers_text(const Headers& headers) {
  std::map<std::string_view, std::string_view> last;
  for (const auto& [name, value] : headers) last[name] = value;
  std::string text;
  for (const auto& [name, value] : last) text += (text.empty() ? "{" : ",") + quoted(name) + ":" + quoted(value);
  return text.empty() ? "{}" : text + "}";
}

// What record `index` has; the row's number, where there are no records.
void append(Column& column, std::string_view name, const Batch& batch, int64_t index) {
  const Records* records = batch.records.get();
  if (name == "_offset") return column.append_int64(records != nullptr ? records->offset(index) : index);
  if (name == "_partition") return column.append_int64(batch.origin ? batch.origin->partition : 0);
  if (records == nullptr) return column.append_null();
  if (name == "_topic") return column.append_string(batch.origin->topic);
  if (name == "_timestamp") return column.append_int64(records->timestamp(index));
  if (name == "_headers") return column.append_string(headers_text(records->headers(index)));
  if (!records->has_key(index)) return column.append_null();
  column.append_string(json::to_utf8(records->key(index)));
}

}  // namespace

const std::vector<Field>& metadata_fields() {
  static const std::vector<Field> fields = {
      {.name = "_key", .type = Type::kString, .nullable = true},
      {.name = "_timestamp", .type = Type::kTimestamp, .nullable = true},
      {.name = "_topic", .type = Type::kString, .nullable = true},
      {.name = "_partition", .type = Type::kInt64, .nullable = true},
      {.name = "_offset", .type = Type::kInt64, .nullable = true},
      {.name = "_headers", .type = Type::kString, .nullable = true, .json = true},
  };
  return fields;
}

std::optional<Field> metadata_field(std::string_view name) {
  for (const Field& field : metadata_fields()) {
    if (field.name == name) return field;
  }
  return std::nullopt;
}

ColumnPtr metadata_column(std::string_view name, const Batch& batch) {
  auto column = std::make_shared<Column>(metadata_field(name).value().type);
  column->reserve(batch.length);
  for (int64_t row = 0; row < batch.length; ++row)
    append(*column, name, batch, batch.record_of[static_cast<size_t>(row)]);
  return column;
}

}  // namespace wrackline

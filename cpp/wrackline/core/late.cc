#include "wrackline/core/late.h"

#include <array>

namespace wrackline {
namespace {

constexpr std::array<std::string_view, 6> kAdded = {"late_by_ms", "watermark", "window_start",
                                                    "window_end", "reason",    "step"};

bool is_added(std::string_view name) {
  for (const std::string_view added : kAdded) {
    if (name == added) return true;
  }
  return false;
}

}  // namespace

SchemaPtr late_schema(const Schema& input) {
  std::vector<Field> fields = input.fields();
  for (Field& field : fields) {
    while (is_added(field.name)) field.name += "_row";
  }
  fields.push_back({"late_by_ms", Type::kInt64, false});
  fields.push_back({"watermark", Type::kTimestamp, false});
  fields.push_back({"window_start", Type::kTimestamp, true});
  fields.push_back({"window_end", Type::kTimestamp, true});
  fields.push_back({"reason", Type::kString, false});
  fields.push_back({"step", Type::kString, false});
  return std::make_shared<const Schema>(std::move(fields));
}

Batch late_batch(const Batch& batch, const SchemaPtr& schema, const std::vector<LateRow>& rows, std::string_view reason,
                 std::string_view step) {
  Buffer<int64_t> indices(rows.size());
  for (size_t i = 0; i < rows.size(); ++i) indices[i] = rows[i].row;
  Batch result;
  result.schema = schema;
  result.length = static_cast<int64_t>(rows.size());
  result.watermark = batch.watermark;
  result.records = batch.records;
  result.origin = batch.origin;
  const size_t own = static_cast<size_t>(schema->size()) - kAdded.size();
  for (size_t i = 0; i < own; ++i) result.columns.push_back(gather(*batch.columns[i], indices));
  result.event_times.resize(rows.size());
  for (size_t i = 0; i < rows.size(); ++i) result.event_times[i] = batch.event_times[static_cast<size_t>(rows[i].row)];
  if (!batch.record_of.empty()) {
    result.record_of.resize(rows.size());
    for (size_t i = 0; i < rows.size(); ++i) result.record_of[i] = batch.record_of[static_cast<size_t>(rows[i].row)];
  }
  auto late_by = std::make_shared<Column>(Type::kInt64);
  auto watermark = std::make_shared<Column>(Type::kTimestamp);
  auto start = std::make_shared<Column>(Type::kTimestamp);
  auto end = std::make_shared<Column>(Type::kTimestamp);
  auto reasons = std::make_shared<Column>(Type::kString);
  auto steps = std::make_shared<Column>(Type::kString);
  for (const LateRow& row : rows) {
    late_by->append_int64(row.late_by_ms);
    watermark->append_int64(row.watermark);
    if (row.has_window) {
      start->append_int64(row.window_start);
      end->append_int64(row.window_end);
    } else {
      start->append_null();
      end->append_null();
    }
    reasons->append_string(reason);
    steps->append_string(step);
  }
  for (ColumnPtr column : {ColumnPtr(late_by), ColumnPtr(watermark), ColumnPtr(start), ColumnPtr(end),
                           ColumnPtr(reasons), ColumnPtr(steps)}) {
    result.columns.push_back(std::move(column));
  }
  return result;
}

}  // namespace wrackline

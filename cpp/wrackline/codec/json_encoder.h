// JsonEncoder: rows to records, one JSON object per row, and record keys (docs/formats.md).
//
//   bool true, false        int64 123             float64 shortest text that reads back equal, 3.0 not 3
//   string "..."            bytes "base64"        timestamp 1700000000000 or "2023-11-14T22:13:20.000Z"
//   decimal "123"           list [...]            null null
// NaN and infinities are null, or "NaN", "Infinity", "-Infinity". Bytes of a string column that are
// not UTF-8 come out as U+FFFD: what is written is always JSON.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "wrackline/core/batch.h"
#include "wrackline/core/records.h"
#include "wrackline/core/status.h"

namespace wrackline {

struct JsonEncoderOptions {
  bool iso_times = false;      // time_format="iso"
  bool nan_as_string = false;  // nan="string"
};

// Immutable: any number of threads may use one.
class JsonEncoder {
 public:
  // `value_columns` become the object, in that order; `key_columns` the key, a JSON array (no
  // columns: a null key). Both are indices into `schema`.
  static Result<JsonEncoder> make(SchemaPtr schema, std::vector<int> value_columns, std::vector<int> key_columns,
                                  JsonEncoderOptions options = {});
  // All columns, no key.
  static JsonEncoder all_columns(SchemaPtr schema, JsonEncoderOptions options = {});

  // Appends one record per row of `batch`. REQUIRES: batch has the schema of make().
  void encode(const Batch& batch, Millis timestamp, Records& out) const {
    encode(batch, 0, batch.length, timestamp, out);
  }
  // Rows [begin, end).
  void encode(const Batch& batch, int64_t begin, int64_t end, Millis timestamp, Records& out) const;
  // The same for these rows, in this order.
  void encode(const Batch& batch, std::span<const int64_t> rows, Millis timestamp, Records& out) const;

  // Appends the JSON array of `columns` of one row: what the partition of a key is hashed from.
  void append_array(const Batch& batch, int64_t row, const std::vector<int>& columns, Bytes& out) const;

 private:
  template <typename RowAt>
  void encode_each(const Batch& batch, int64_t count, RowAt row_at, Millis timestamp, Records& out) const;
  JsonEncoder() = default;
  SchemaPtr schema_;
  std::vector<int> value_columns_;
  std::vector<int> key_columns_;
  std::vector<std::string> names_;  // `{"name":` or `,"name":`, one per value column
  std::vector<bool> as_it_is_;      // per value column: Field::json
  JsonEncoderOptions options_;
};

}  // namespace wrackline

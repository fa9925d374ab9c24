// Late rows: a row's own columns and why it is late (semantics.md 3).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "wrackline/core/batch.h"

namespace wrackline {

// The columns of `input`, then late_by_ms (int64), watermark (timestamp), window_start, window_end
// (timestamp, nullable), reason, step (string). An own column of one of these names gets the suffix
// "_row", so that the added ones mean the same in every late stream.
SchemaPtr late_schema(const Schema& input);

// One late row: which row of the batch, and what late_schema() adds.
struct LateRow {
  int64_t row = 0;
  int64_t late_by_ms = 0;
  Millis watermark = 0;
  bool has_window = false;
  Millis window_start = 0;
  Millis window_end = 0;
};

// The batch of late rows (without moves) for Port::kLate, with the first columns of `batch` as far as `schema` has
// them. `rows` ascend in `row`; a row may repeat.
Batch late_batch(const Batch& batch, const SchemaPtr& schema, const std::vector<LateRow>& rows, std::string_view reason,
                 std::string_view step);

}  // namespace wrackline

// metadata: what the log says of a row's record, as columns: _key _timestamp _topic _partition _offset _headers.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "wrackline/core/batch.h"

namespace wrackline {

// All of them are nullable: a record may have no key, and bounded rows have a partition (0) and an offset (their
// number) alone. Headers are a JSON object: of several of one name the last.
const std::vector<Field>& metadata_fields();
std::optional<Field> metadata_field(std::string_view name);

// REQUIRES: a name of metadata_fields(); rows that have records of their own (not below a window).
ColumnPtr metadata_column(std::string_view name, const Batch& batch);

}  // namespace wrackline

// Whether texts are JSON: before a column from elsewhere becomes one of Field::json, which is written as it is.
#pragma once

#include <cstdint>

#include "wrackline/core/batch.h"

namespace wrackline {

// The first row whose text is not one JSON value (null rows are fine), or -1.
int64_t first_that_is_no_json(const Column& texts);

}  // namespace wrackline

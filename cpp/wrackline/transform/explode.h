// explode: a row for each item of a list, a list column's or that of a column of JSON text.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "wrackline/transform/transform.h"

namespace wrackline {

// `items`: the columns that an item makes; of a JSON column: one named as the column for items that are values, or
// those of an object's fields with `paths` within it. A record whose list is empty or null makes no row; one with an
// item that does not fit is no good as a whole. The column itself does not go on. Fails when it is no list.
Result<TransformSpec> explode(const Schema& input, const std::string& column, std::vector<Field> items,
                              std::vector<std::string> paths);

}  // namespace wrackline

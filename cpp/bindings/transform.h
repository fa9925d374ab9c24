// Python functions as transforms of a plan.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "table.h"

#include "wrackline/transform/transform.h"

namespace wrackline::bindings {

// What a function is given and gives:
//   "columns"  nothing is called: `makes` are the columns that it reads
//   "frame"    a Table -> anything with an Arrow interface that has the columns of `makes`, a row for each row
//   "keep"     a Table -> the same with one column of bools: the rows to keep
//   "row"      the values of a row -> a value, or a tuple or dict of several
//   "rows"     the values of a row -> an iterable of those
std::shared_ptr<const Transform> make_transform(const std::string& kind, const py::object& function,
                                                const std::vector<Field>& makes);

}  // namespace wrackline::bindings

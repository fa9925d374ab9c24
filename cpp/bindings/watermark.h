// A Python function as the watermark of an input.
#pragma once

#include <memory>

#include "table.h"

#include "wrackline/time/watermark.h"

namespace wrackline::bindings {

// `function`: a Table -> something with an Arrow interface of one column, int64 or a timestamp, a row for each row; or
// a text that says what is wrong with what the user's function gave.
std::shared_ptr<const WatermarkFunction> make_watermark(py::function function);

}  // namespace wrackline::bindings

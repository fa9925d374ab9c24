// Python functions as aggregates.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "table.h"

#include "wrackline/window/aggregate/custom.h"

namespace wrackline::bindings {

// `of` has: name, initial (a frame of one row), rows (names), returns (a FieldTuple), and functions of tables that give
// anything with an Arrow interface: add(states, rows, groups), merge(states, later) or None, finish(states).
std::shared_ptr<const CustomAggregate> make_custom(const py::object& of);

}  // namespace wrackline::bindings

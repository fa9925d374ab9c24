// The parts of the module, one per concept.
#pragma once

#include "errors.h"

namespace wrackline::bindings {

void register_times(py::module_& m);    // durations, timestamps, spelling
void register_table(py::module_& m);    // columns in and out, Arrow
void register_records(py::module_& m);  // Python rows to columns
void register_log(py::module_& m);
void register_decode(py::module_& m);  // rows of a topic to columns
void register_plan(py::module_& m);
void register_run(py::module_& m);
void register_driver(py::module_& m);
void register_windows(py::module_& m);  // edges and zones

}  // namespace wrackline::bindings

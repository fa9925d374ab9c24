// wrackline._core: what the Python package sees of the core. Plain values in and out; policy is Python's.
#include "bindings.h"
#include <pybind11/pybind11.h>

PYBIND11_MODULE(_core, m) {
  m.doc() = "The C++ core of wrackline. Private: use the package.";
  namespace bindings = wrackline::bindings;
  bindings::register_errors(m);
  bindings::register_times(m);
  bindings::register_table(m);
  bindings::register_records(m);
  bindings::register_log(m);
  bindings::register_decode(m);
  bindings::register_plan(m);
  bindings::register_run(m);
  bindings::register_driver(m);
  bindings::register_windows(m);
}

// wrackline._core: what the Python package sees of the core.
#include <pybind11/pybind11.h>

PYBIND11_MODULE(_core, m) { m.doc() = "The C++ core of wrackline"; }

#include "bindings.h"
#include <pybind11/stl.h>

#include "wrackline/core/spelling.h"
#include "wrackline/time/duration.h"
#include "wrackline/time/timestamp.h"

namespace wrackline::bindings {

void register_times(py::module_& m) {
  m.def("parse_duration", [](const std::string& text) { return check(parse_duration(text)); }, py::arg("text"));
  m.def(
      "format_duration",
      [](int64_t ms) {
        if (ms > kMaxDuration || ms < -kMaxDuration) raise(Status::invalid("longer than 10^15 ms"));
        return format_duration(ms);
      },
      py::arg("ms"));
  m.def("parse_time", [](const std::string& text) { return parse_iso(text); }, py::arg("text"));
  m.def("format_time", [](int64_t ms) { return format_iso(ms); }, py::arg("ms"));
  m.def(
      "nearest",
      [](const std::string& wanted, const std::vector<std::string>& known) { return nearest(wanted, known); },
      py::arg("wanted"), py::arg("known"));
  m.attr("MAX_DURATION") = py::int_(kMaxDuration);
}

}  // namespace wrackline::bindings

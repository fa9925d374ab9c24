// Single values: from a column to Python, and back.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include <pybind11/pybind11.h>

#include "wrackline/core/batch.h"

namespace wrackline::bindings {

namespace py = pybind11;

class ToPython {
 public:
  // Times as datetimes in UTC (one that datetime cannot hold stays an int), or as ints (ms).
  explicit ToPython(bool times_as_datetime);
  // JSON text (Field::json) comes as what it stands for.
  py::object cell(const Column& column, int64_t row, bool json = false) const;

 private:
  py::object datetime_of(Millis t) const;

  bool times_as_datetime_;
  py::object delta_;
  py::object epoch_;
  py::object loads_;
};

class FromPython {
 public:
  // What Python gave, before a column's type is decided.
  enum class Kind : uint8_t { kNull, kBool, kInt, kFloat, kString, kBytes, kDatetime, kList };

  FromPython();
  std::optional<Kind> kind_of(py::handle value) const;  // nullopt: none of them
  // Raises InvalidArgumentError, beginning with place(), when the column cannot hold the value.
  void append(Column& column, const Field& field, py::handle value, const std::function<std::string()>& place) const;

 private:
  std::string json_of(py::handle value, const std::function<std::string()>& place) const;
  Millis millis_of(py::handle value) const;

  py::object datetime_;
  py::object utc_;
  py::object epoch_;
  py::object dumps_;
  py::object isoformat_;
};

std::string type_of(py::handle value);  // the name of its type

}  // namespace wrackline::bindings

#include "values.h"

#include "errors.h"

#include "wrackline/time/timestamp.h"

namespace wrackline::bindings {
namespace {

py::object decimal_text(__int128 value) {
  const bool negative = value < 0;
  auto magnitude = negative ? -static_cast<unsigned __int128>(value) : static_cast<unsigned __int128>(value);
  std::string digits;
  do {
    digits.insert(digits.begin(), static_cast<char>('0' + static_cast<int>(magnitude % 10)));
    magnitude /= 10;
  } while (magnitude != 0);
  if (negative) digits.insert(digits.begin(), '-');
  return py::reinterpret_steal<py::object>(PyLong_FromString(digits.c_str(), nullptr, 10));
}

}  // namespace

std::string type_of(py::handle value) {
  return py::str(py::type::handle_of(value).attr("__name__")).cast<std::string>();
}

// Datetimes are made from milliseconds as epoch + timedelta, which is exact.
ToPython::ToPython(bool times_as_datetime) : times_as_datetime_(times_as_datetime) {
  const py::module_ module = py::module_::import("datetime");
  delta_ = module.attr("timedelta");
  epoch_ = module.attr("datetime")(1970, 1, 1, py::arg("tzinfo") = module.attr("timezone").attr("utc"));
  loads_ = py::module_::import("json").attr("loads");
}

py::object ToPython::datetime_of(Millis t) const {
  if (!times_as_datetime_ || !in_event_time_range(t)) return py::int_(t);
  return epoch_ + delta_(0, 0, 0, py::int_(t));
}

py::object ToPython::cell(const Column& column, int64_t row, bool json) const {
  if (column.is_null(row)) return py::none();
  if (json) {
    const std::string_view text = column.string_at(row);
    return loads_(py::str(text.data(), text.size()));
  }
  switch (column.type()) {
    case Type::kBool: return py::bool_(column.bool_at(row));
    case Type::kInt64: return py::int_(column.int64s()[row]);
    case Type::kFloat64: return py::float_(column.float64s()[row]);
    case Type::kString: {
      const std::string_view text = column.string_at(row);
      PyObject* made = PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "replace");
      if (made == nullptr) throw py::error_already_set();
      return py::reinterpret_steal<py::object>(made);
    }
    case Type::kBytes: {
      const std::string_view bytes = column.string_at(row);
      return py::bytes(bytes.data(), bytes.size());
    }
    case Type::kTimestamp: return datetime_of(column.int64s()[row]);
    case Type::kDecimal: return decimal_text(column.decimal_at(row));
    case Type::kList: {
      py::list items;
      for (int32_t i = column.offsets()[row]; i < column.offsets()[row + 1]; ++i) items.append(cell(column.items(), i));
      return items;
    }
  }
  return py::none();
}

FromPython::FromPython() {
  const py::module_ datetime = py::module_::import("datetime");
  datetime_ = datetime.attr("datetime");
  utc_ = datetime.attr("timezone").attr("utc");
  epoch_ = datetime_(1970, 1, 1, py::arg("tzinfo") = utc_);
  dumps_ = py::module_::import("json").attr("dumps");
  isoformat_ = py::module_::import("operator").attr("methodcaller")("isoformat");  // of times, the one kind more
}

std::optional<FromPython::Kind> FromPython::kind_of(py::handle value) const {
  if (value.is_none()) return Kind::kNull;
  if (PyBool_Check(value.ptr())) return Kind::kBool;
  if (PyFloat_Check(value.ptr())) return Kind::kFloat;
  if (PyLong_Check(value.ptr())) return Kind::kInt;
  if (PyUnicode_Check(value.ptr())) return Kind::kString;
  if (PyBytes_Check(value.ptr()) || PyByteArray_Check(value.ptr())) return Kind::kBytes;
  if (py::isinstance(value, datetime_)) return Kind::kDatetime;
  if (PyList_Check(value.ptr()) || PyTuple_Check(value.ptr())) return Kind::kList;
  if (PyIndex_Check(value.ptr())) return Kind::kInt;  // NumPy's integers
  return std::nullopt;
}

// Without a zone: UTC. Floored to milliseconds.
Millis FromPython::millis_of(py::handle value) const {
  py::object when = py::reinterpret_borrow<py::object>(value);
  if (when.attr("tzinfo").is_none()) when = when.attr("replace")(py::arg("tzinfo") = utc_);
  const py::object since = when - epoch_;
  return since.attr("days").cast<int64_t>() * 86'400'000 + since.attr("seconds").cast<int64_t>() * 1'000 +
         since.attr("microseconds").cast<int64_t>() / 1'000;
}

std::string FromPython::json_of(py::handle value, const std::function<std::string()>& place) const {
  try {
    return dumps_(value, py::arg("allow_nan") = false, py::arg("default") = isoformat_).cast<std::string>();
  } catch (py::error_already_set& error) {
    if (!error.matches(PyExc_Exception)) throw;
    raise(Status::invalid(place() + "a " + type_of(value) +
                          " that cannot be JSON: " + py::str(error.value()).cast<std::string>()));
  }
}

void FromPython::append(Column& column, const Field& field, py::handle value,
                        const std::function<std::string()>& place) const {
  const auto wrong = [&]() {
    raise(
        Status::invalid(place() + "a " + type_of(value) + ", but the column is " + std::string(type_name(field.type))));
  };
  const std::optional<Kind> kind = field.json && !value.is_none() ? Kind::kString : kind_of(value);
  if (!kind) wrong();
  if (*kind == Kind::kNull) {
    if (!field.nullable) {
      raise(Status::invalid(place() + "no value, but the schema requires one (declare it as `| None`)"));
    }
    return column.append_null();
  }
  const auto int64 = [&]() -> int64_t {
    const auto integer = py::reinterpret_steal<py::object>(PyNumber_Index(value.ptr()));
    if (!integer) throw py::error_already_set();
    int overflow = 0;
    const long long made = PyLong_AsLongLongAndOverflow(integer.ptr(), &overflow);
    if (overflow != 0) {
      raise(Status::invalid(place() + py::str(integer).cast<std::string>() + " does not fit int64"));
    }
    return made;
  };
  if (field.json) return column.append_string(json_of(value, place));
  switch (field.type) {
    case Type::kBool:
      if (*kind != Kind::kBool) wrong();
      return column.append_bool(value.ptr() == Py_True);
    case Type::kInt64:
      if (*kind != Kind::kInt) wrong();
      return column.append_int64(int64());
    case Type::kFloat64: {
      if (*kind != Kind::kFloat && *kind != Kind::kInt) wrong();
      const double made = PyFloat_AsDouble(value.ptr());
      if (made == -1.0 && PyErr_Occurred() != nullptr) throw py::error_already_set();
      return column.append_float64(made);
    }
    case Type::kString: {
      if (*kind != Kind::kString) wrong();
      Py_ssize_t size = 0;
      const char* text = PyUnicode_AsUTF8AndSize(value.ptr(), &size);
      if (text == nullptr) throw py::error_already_set();
      return column.append_string({text, static_cast<size_t>(size)});
    }
    case Type::kBytes: {
      if (*kind != Kind::kBytes) wrong();
      const py::bytes bytes(py::reinterpret_borrow<py::object>(value));
      return column.append_string(std::string_view(bytes));
    }
    case Type::kTimestamp:
      if (*kind == Kind::kDatetime) return column.append_int64(millis_of(value));
      if (*kind == Kind::kInt) return column.append_int64(int64());
      if (*kind == Kind::kString) {
        if (const auto t = parse_iso(value.cast<std::string>())) return column.append_int64(*t);
        raise(Status::invalid(place() + "\"" + value.cast<std::string>() + "\" is no ISO 8601 time"));
      }
      return wrong();
    case Type::kList: {
      if (*kind != Kind::kList) wrong();
      Column items(field.item);  // whole before any of it is in the column
      int64_t number = 0;
      for (const py::handle item : value) {
        append(items, {.name = field.name, .type = field.item, .nullable = true}, item,
               [&] { return place() + "item " + std::to_string(number) + ": "; });
        ++number;
      }
      for (int64_t i = 0; i < items.length(); ++i) column.mutable_items().append_from(items, i);
      return column.append_list_end();
    }
    case Type::kDecimal: wrong();
  }
}

}  // namespace wrackline::bindings

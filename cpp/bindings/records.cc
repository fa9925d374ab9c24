// Python rows (dicts) to typed columns: from_records() and the test driver. Types are inferred or given.
#include <optional>
#include <unordered_map>

#include "bindings.h"
#include "table.h"
#include "values.h"
#include <pybind11/stl.h>

namespace wrackline::bindings {
namespace {

using Kind = FromPython::Kind;

constexpr int64_t kBatchRows = 8'192;

std::string place(int64_t row, const std::string& column) {
  return "row " + std::to_string(row) + ", column \"" + column + "\": ";
}

const char* kind_text(Kind kind) {
  switch (kind) {
    case Kind::kNull: return "None";
    case Kind::kBool: return "bool";
    case Kind::kInt: return "int";
    case Kind::kFloat: return "float";
    case Kind::kString: return "str";
    case Kind::kBytes: return "bytes";
    case Kind::kDatetime: return "datetime";
    case Kind::kList: return "list";
  }
  return "";
}

Type column_type(Kind kind) {
  switch (kind) {
    case Kind::kBool: return Type::kBool;
    case Kind::kInt: return Type::kInt64;
    case Kind::kFloat: return Type::kFloat64;
    case Kind::kBytes: return Type::kBytes;
    case Kind::kDatetime: return Type::kTimestamp;
    case Kind::kList: return Type::kList;
    case Kind::kNull:
    case Kind::kString: break;
  }
  return Type::kString;
}

const py::dict row_at(const py::sequence& rows, int64_t i) {
  const py::object row = rows[static_cast<size_t>(i)];
  if (!py::isinstance<py::dict>(row)) {
    raise(Status::invalid("row " + std::to_string(i) + " is a " + type_of(row) + ", not a dict"));
  }
  return row;
}

// Columns in order of first appearance; nested dicts become dotted paths.
struct Inferred {
  struct ColumnKind {
    std::string name;
    Kind kind = Kind::kNull;
    int64_t first_row = 0;    // that decided the kind
    int64_t present = 0;      // rows with a value
    Kind item = Kind::kNull;  // of a list
    bool json = false;        // of a list: not all items are of one such kind
  };
  std::vector<ColumnKind> columns;
  std::unordered_map<std::string, size_t> index;

  void see(const FromPython& python, const py::dict& row, int64_t number, const std::string& prefix) {
    for (const auto& [key, value] : row) {
      if (!PyUnicode_Check(key.ptr())) {
        raise(
            Status::invalid("row " + std::to_string(number) + ": a column name is a " + type_of(key) + ", not a str"));
      }
      const std::string name = prefix + key.cast<std::string>();
      if (py::isinstance<py::dict>(value)) {
        see(python, py::reinterpret_borrow<py::dict>(value), number, name + ".");
        continue;
      }
      const std::optional<Kind> kind = python.kind_of(value);
      if (!kind) {
        raise(Status::invalid(
            place(number, name) + "a " + type_of(value) +
            " cannot be a column value (bool, int, float, str, bytes, datetime, None, nested dict, list)"));
      }
      const auto [at, is_new] = index.try_emplace(name, columns.size());
      if (is_new) columns.push_back({.name = name});
      ColumnKind& column = columns[at->second];
      merge(column, *kind, number);
      if (*kind != Kind::kList) continue;
      for (const py::handle item : value) see_item(column, python.kind_of(item));
    }
  }

  static void see_item(ColumnKind& column, std::optional<Kind> kind) {
    const auto number = [](Kind k) { return k == Kind::kInt || k == Kind::kFloat; };
    if (!kind || *kind == Kind::kList)
      column.json = true;
    else if (column.item == Kind::kNull || column.item == *kind)
      column.item = *kind == Kind::kNull ? column.item : *kind;
    else if (number(column.item) && number(*kind))
      column.item = Kind::kFloat;
    else if (*kind != Kind::kNull)
      column.json = true;
  }

  static void merge(ColumnKind& column, Kind kind, int64_t row) {
    if (kind == Kind::kNull) return;
    ++column.present;
    if (column.kind == kind) return;
    if (column.kind == Kind::kNull) {
      column.kind = kind;
      column.first_row = row;
      return;
    }
    const auto number = [](Kind k) { return k == Kind::kInt || k == Kind::kFloat; };
    if (number(column.kind) && number(kind)) {
      column.kind = Kind::kFloat;
      return;
    }
    raise(Status::invalid(place(row, column.name) + "a " + kind_text(kind) + ", but row " +
                          std::to_string(column.first_row) + " has a " + kind_text(column.kind)));
  }

  SchemaPtr schema(int64_t rows) const {
    std::vector<Field> fields;
    for (const ColumnKind& column : columns) {
      Field field{.name = column.name, .type = column_type(column.kind), .nullable = column.present < rows};
      if (field.type == Type::kList) field.item = column_type(column.item);
      if (column.json) field = {.name = column.name, .type = Type::kString, .nullable = field.nullable, .json = true};
      fields.push_back(std::move(field));
    }
    return std::make_shared<const Schema>(std::move(fields));
  }
};

// A value by whole name first, then by path into nested dicts; null if there is none.
py::object find(const py::dict& row, const py::str& name, const std::vector<py::str>& path) {
  if (PyObject* value = PyDict_GetItemWithError(row.ptr(), name.ptr()))
    return py::reinterpret_borrow<py::object>(value);
  if (PyErr_Occurred() != nullptr) throw py::error_already_set();
  if (path.size() < 2) return py::none();
  py::object at = row;
  for (const py::str& part : path) {
    if (!py::isinstance<py::dict>(at)) return py::none();
    PyObject* inner = PyDict_GetItemWithError(at.ptr(), part.ptr());
    if (inner == nullptr) {
      if (PyErr_Occurred() != nullptr) throw py::error_already_set();
      return py::none();
    }
    at = py::reinterpret_borrow<py::object>(inner);
  }
  return at;
}

std::vector<py::str> split_path(const std::string& path) {
  std::vector<py::str> parts;
  size_t from = 0;
  for (size_t dot = path.find('.'); dot != std::string::npos; dot = path.find('.', from)) {
    parts.emplace_back(path.substr(from, dot - from));
    from = dot + 1;
  }
  parts.emplace_back(path.substr(from));
  return parts;
}

// `paths`: where nested rows have each field; empty: under its name.
Table table_from_rows(const py::sequence& rows, const std::optional<std::vector<FieldTuple>>& given,
                      const std::vector<std::string>& paths) {
  const FromPython python;
  const auto count = static_cast<int64_t>(rows.size());
  SchemaPtr schema;
  if (given) {
    schema = make_schema(*given);
  } else {
    Inferred inferred;
    for (int64_t i = 0; i < count; ++i) inferred.see(python, row_at(rows, i), i, "");
    schema = inferred.schema(count);
  }
  std::vector<py::str> names;
  std::vector<std::vector<py::str>> parts;
  for (int i = 0; i < schema->size(); ++i) {
    const std::string& path = paths.empty() ? schema->field(i).name : paths[static_cast<size_t>(i)];
    names.emplace_back(path);
    parts.push_back(split_path(path));
  }
  Table::Batches batches;
  for (int64_t first = 0; first < count; first += kBatchRows) {
    const int64_t end = std::min(count, first + kBatchRows);
    std::vector<std::shared_ptr<Column>> columns;
    for (const Field& field : schema->fields()) columns.push_back(std::make_shared<Column>(field.type, field.item));
    for (int64_t row = first; row < end; ++row) {
      const py::dict one = row_at(rows, row);
      for (size_t c = 0; c < columns.size(); ++c) {
        const Field& field = schema->field(static_cast<int>(c));
        python.append(*columns[c], field, find(one, names[c], parts[c]), [&] { return place(row, field.name); });
      }
    }
    auto batch = std::make_shared<Batch>();
    batch->schema = schema;
    batch->columns.assign(columns.begin(), columns.end());
    batch->length = end - first;
    batches.push_back(std::move(batch));
  }
  return {schema, std::move(batches)};
}

}  // namespace

void register_records(py::module_& m) {
  m.def("table_from_rows", &table_from_rows, py::arg("rows"), py::arg("schema") = py::none(),
        py::arg("paths") = std::vector<std::string>());
}

}  // namespace wrackline::bindings

#include "table.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "bindings.h"
#include "values.h"
#include <pybind11/stl.h>

#include "wrackline/codec/json_check.h"
#include "wrackline/core/arrow.h"
#include "wrackline/core/key.h"
#include "wrackline/window/key_table.h"

namespace wrackline::bindings {
namespace {

constexpr Type kTypes[] = {Type::kBool,  Type::kInt64,     Type::kFloat64, Type::kString,
                           Type::kBytes, Type::kTimestamp, Type::kDecimal};

Type parse_type(std::string_view name) {
  for (const Type type : kTypes) {
    if (type_name(type) == name) return type;
  }
  raise(Status::invalid("unknown column type \"" + std::string(name) + "\""));
}

std::string type_text(const Field& field) {
  if (field.json) return "json";
  if (field.type != Type::kList) return std::string(type_name(field.type));
  return "list[" + std::string(type_name(field.item)) + "]";
}

std::shared_ptr<const Batch> plain_batch(SchemaPtr schema, std::vector<ColumnPtr> columns, int64_t length) {
  auto batch = std::make_shared<Batch>();
  batch->schema = std::move(schema);
  batch->columns = std::move(columns);
  batch->length = length;
  return batch;
}

ColumnPtr as_floats(const Column& integers) {
  auto floats = std::make_shared<Column>(Type::kFloat64);
  floats->reserve(integers.length());
  for (int64_t i = 0; i < integers.length(); ++i) {
    integers.is_null(i) ? floats->append_null() : floats->append_float64(static_cast<double>(integers.int64s()[i]));
  }
  return floats;
}

// A capsule that releases what it holds unless a consumer took it.
template <typename T>
py::capsule make_capsule(T value, const char* name) {
  return py::capsule(new T(value), name, [](PyObject* object) {
    auto* held = static_cast<T*>(PyCapsule_GetPointer(object, PyCapsule_GetName(object)));
    if (held->release != nullptr) held->release(held);
    delete held;
  });
}

// Moves the struct out of a capsule; what is left behind counts as released.
template <typename T>
T take_from(const py::handle& capsule, const char* name) {
  auto* held = static_cast<T*>(PyCapsule_GetPointer(capsule.ptr(), name));
  if (held == nullptr) throw py::error_already_set();
  T taken = *held;
  held->release = nullptr;
  return taken;
}

Table imported(ImportedTable table) {
  Table::Batches batches;
  for (Batch& batch : table.batches) {
    if (batch.length > 0) batches.push_back(std::make_shared<const Batch>(std::move(batch)));
  }
  // Batches of one stream share their schema; nullability is the table's.
  for (auto& batch : batches) batch = plain_batch(table.schema, batch->columns, batch->length);
  return {table.schema, std::move(batches)};
}

}  // namespace

SchemaPtr make_schema(const std::vector<FieldTuple>& fields) {
  std::vector<Field> made;
  for (const auto& [name, type, nullable] : fields) {
    Field field{.name = name, .nullable = nullable};
    if (type.starts_with("list[") && type.ends_with("]")) {
      field.type = Type::kList;
      field.item = parse_type(std::string_view(type).substr(5, type.size() - 6));
    } else if (type == "json") {
      field.type = Type::kString;
      field.json = true;
    } else {
      field.type = parse_type(type);
    }
    made.push_back(std::move(field));
  }
  return std::make_shared<const Schema>(std::move(made));
}

std::vector<FieldTuple> field_tuples(const Schema& schema) {
  std::vector<FieldTuple> fields;
  for (const Field& field : schema.fields()) fields.emplace_back(field.name, type_text(field), field.nullable);
  return fields;
}

Result<Table> import_table(const py::object& frame) {
  if (py::hasattr(frame, "__arrow_c_stream__")) {
    const py::object capsule = frame.attr("__arrow_c_stream__")();
    auto stream = take_from<ArrowArrayStream>(capsule, "arrow_array_stream");
    // With the GIL: a stream may be written in Python.
    WL_ASSIGN_OR_RETURN(ImportedTable table, import_stream(&stream));
    return imported(std::move(table));
  }
  if (py::hasattr(frame, "__arrow_c_array__")) {
    const py::tuple capsules = frame.attr("__arrow_c_array__")();
    auto schema = take_from<ArrowSchema>(capsules[0], "arrow_schema");
    auto array = take_from<ArrowArray>(capsules[1], "arrow_array");
    WL_ASSIGN_OR_RETURN(ImportedTable table, import_batch(&schema, &array));
    return imported(std::move(table));
  }
  return Status::invalid(
      "a " + std::string(py::str(py::type::of(frame).attr("__name__"))) +
      " has no Arrow interface (__arrow_c_stream__); give a Polars, pyarrow, pandas or DuckDB table");
}

Table::Table(SchemaPtr schema, Batches batches) : schema_(std::move(schema)), batches_(std::move(batches)) {
  for (const auto& batch : batches_) length_ += batch->length;
}

Result<Table> Table::united(SchemaPtr first, const std::vector<Batch>& batches) {
  std::vector<Field> fields = first->fields();
  std::vector<SchemaPtr> schemas{first};
  for (const Batch& batch : batches) {
    if (batch.length > 0 &&
        std::none_of(schemas.begin(), schemas.end(), [&](const SchemaPtr& s) { return *s == *batch.schema; })) {
      schemas.push_back(batch.schema);
    }
  }
  for (size_t i = 1; i < schemas.size(); ++i) {
    for (Field& field : fields) {
      if (schemas[i]->index_of(field.name) < 0) field.nullable = true;
    }
    for (Field field : schemas[i]->fields()) {
      const auto same =
          std::find_if(fields.begin(), fields.end(), [&](const Field& f) { return f.name == field.name; });
      if (same == fields.end()) {
        field.nullable = true;
        fields.push_back(field);
        continue;
      }
      same->nullable |= field.nullable;
      if (same->type == field.type && same->item == field.item) continue;
      const auto number = [](Type type) { return type == Type::kInt64 || type == Type::kFloat64; };
      if (!number(same->type) || !number(field.type)) {
        return Status::invalid("column \"" + field.name + "\" is " + type_text(*same) +
                               " in one of these streams and " + type_text(field) +
                               " in another; take them one by one");
      }
      same->type = Type::kFloat64;
    }
  }
  const auto schema = schemas.size() == 1 ? first : std::make_shared<const Schema>(std::move(fields));
  Batches out;
  for (const Batch& batch : batches) {
    if (batch.length == 0) continue;
    std::vector<ColumnPtr> columns;
    for (const Field& field : schema->fields()) {
      const int index = batch.schema->index_of(field.name);
      if (index < 0) {
        columns.push_back(null_column(field, batch.length));
      } else {
        const ColumnPtr& column = batch.columns[static_cast<size_t>(index)];
        columns.push_back(column->type() == field.type ? column : as_floats(*column));
      }
    }
    out.push_back(plain_batch(schema, std::move(columns), batch.length));
  }
  return Table(schema, std::move(out));
}

Result<Table> Table::last_of(const std::vector<std::string>& columns, const std::string& unless,
                             const std::string& withdrawn) const {
  const int said = schema_->index_of(unless);
  const bool is_said = said >= 0 && schema_->field(said).type == Type::kString;
  WL_ASSIGN_OR_RETURN(KeyPacker packer, KeyPacker::make(*schema_, columns, /*null_group=*/true));
  struct Place {
    uint32_t batch;
    uint32_t row;
  };
  KeyTable last(Buffer<uint8_t>(sizeof(Place)));
  std::vector<uint32_t> rows;
  for (size_t b = 0; b < batches_.size(); ++b) {
    packer.pack(*batches_[b]);
    for (auto row = static_cast<uint32_t>(rows.size()); row < batches_[b]->length; ++row) rows.push_back(row);
    last.each(packer, rows.data(), static_cast<size_t>(batches_[b]->length), [&](uint32_t row, uint8_t* cells) {
      const Place place{static_cast<uint32_t>(b), row};
      std::memcpy(cells, &place, sizeof place);
    });
  }
  std::vector<Buffer<int64_t>> kept(batches_.size());
  int64_t count = 0;
  for (uint32_t id = 0; id < last.count(); ++id) {
    Place place{};
    std::memcpy(&place, last.cells(id), sizeof place);
    if (is_said && batches_[place.batch]->column(said).string_at(place.row) == withdrawn) continue;
    kept[place.batch].push_back(place.row);
    ++count;
  }
  if (count == length_) return *this;
  Batches out;
  for (size_t b = 0; b < batches_.size(); ++b) {
    if (kept[b].empty()) continue;
    std::sort(kept[b].begin(), kept[b].end());
    std::vector<ColumnPtr> gathered;
    for (const ColumnPtr& column : batches_[b]->columns) gathered.push_back(gather(*column, kept[b]));
    out.push_back(plain_batch(schema_, std::move(gathered), static_cast<int64_t>(kept[b].size())));
  }
  return Table(schema_, std::move(out));
}

Result<Table> Table::conform(const SchemaPtr& schema) const {
  Batches out;
  for (const Field& field : schema->fields()) {
    const int index = schema_->index_of(field.name);
    if (index < 0) {
      if (field.nullable) continue;
      return Status::invalid("there is no column \"" + field.name + "\", which the schema requires");
    }
    const Field& have = schema_->field(index);
    const bool widens = have.type == Type::kInt64 && field.type == Type::kFloat64;
    const bool items = have.type != Type::kList || have.item == field.item;
    if ((have.type != field.type || !items) && !widens) {
      return Status::invalid("column \"" + field.name + "\" is " + type_text(have) + ", but the schema says " +
                             type_text(field));
    }
  }
  int64_t before = 0;
  for (const auto& batch : batches_) {
    std::vector<ColumnPtr> columns;
    for (const Field& field : schema->fields()) {
      const int index = schema_->index_of(field.name);
      ColumnPtr column = index < 0 ? null_column(field, batch->length) : batch->columns[static_cast<size_t>(index)];
      if (!field.nullable && column->null_count() > 0) {
        int64_t row = 0;
        while (!column->is_null(row)) ++row;
        return Status::invalid("row " + std::to_string(before + row) + ": column \"" + field.name +
                               "\" is null, but the schema requires a value");
      }
      if (field.json && index >= 0 && !schema_->field(index).json) {
        if (const int64_t row = first_that_is_no_json(*column); row >= 0) {
          return Status::invalid("row " + std::to_string(before + row) + ": column \"" + field.name +
                                 "\" is no JSON: " + std::string(column->string_at(row).substr(0, 60)));
        }
      }
      columns.push_back(column->type() == field.type ? column : as_floats(*column));
    }
    out.push_back(plain_batch(schema, std::move(columns), batch->length));
    before += batch->length;
  }
  return Table(schema, std::move(out));
}

Result<std::shared_ptr<const Batch>> Table::one_batch() const {
  if (batches_.size() == 1) return batches_.front();
  std::vector<ColumnPtr> columns;
  for (int c = 0; c < schema_->size(); ++c) {
    auto column = std::make_shared<Column>(schema_->field(c).type, schema_->field(c).item);
    column->reserve(length_);
    for (const auto& batch : batches_) {
      for (int64_t row = 0; row < batch->length; ++row) column->append_from(batch->column(c), row);
    }
    columns.push_back(std::move(column));
  }
  return plain_batch(schema_, std::move(columns), length_);
}

py::list rows_of(const Table& table, int64_t begin, int64_t end, bool times_as_datetime) {
  const ToPython python(times_as_datetime);
  std::vector<py::str> names;
  for (const Field& field : table.schema()->fields()) names.emplace_back(field.name);
  py::list rows;
  int64_t first = 0;
  for (const auto& batch : table.batches()) {
    for (int64_t row = std::max<int64_t>(begin - first, 0); row < std::min(end - first, batch->length); ++row) {
      py::dict one;
      for (size_t c = 0; c < names.size(); ++c)
        one[names[c]] = python.cell(*batch->columns[c], row, table.schema()->field(static_cast<int>(c)).json);
      rows.append(std::move(one));
    }
    first += batch->length;
  }
  return rows;
}

void register_table(py::module_& m) {
  py::class_<Table>(m, "Table")
      .def("__len__", [](const Table& table) { return table.length(); })
      .def_property_readonly("schema", [](const Table& table) { return field_tuples(*table.schema()); })
      .def(
          "rows",
          [](const Table& table, bool times_as_datetime, int64_t begin, std::optional<int64_t> end) {
            return rows_of(table, begin, end.value_or(table.length()), times_as_datetime);
          },
          py::kw_only(), py::arg("times_as_datetime") = true, py::arg("begin") = 0, py::arg("end") = py::none())
      .def(
          "last_of",
          [](const Table& table, const std::vector<std::string>& columns, const std::string& unless,
             const std::string& withdrawn) {
            return check(without_gil([&] { return table.last_of(columns, unless, withdrawn); }));
          },
          py::arg("columns"), py::kw_only(), py::arg("unless"), py::arg("withdrawn"))
      .def(
          "conform",
          [](const Table& table, const std::vector<FieldTuple>& schema) {
            return check(table.conform(make_schema(schema)));
          },
          py::arg("schema"))
      .def(
          "__arrow_c_stream__",
          [](const Table& table, const py::object& /*requested_schema*/) {
            ArrowArrayStream stream{};
            export_stream(table.schema(), table.batches(), &stream);
            return make_capsule(stream, "arrow_array_stream");
          },
          py::arg("requested_schema") = py::none())
      .def("__arrow_c_schema__", [](const Table& table) {
        ArrowSchema schema{};
        export_schema(*table.schema(), &schema);
        return make_capsule(schema, "arrow_schema");
      });
  m.def("import_arrow", [](const py::object& frame) { return check(import_table(frame)); }, py::arg("frame"));
}

}  // namespace wrackline::bindings

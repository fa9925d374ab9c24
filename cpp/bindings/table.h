// Table: finished columns, as batches of one schema. What collect() gives and from_records(), from_arrow() make.
#pragma once

#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include <pybind11/pybind11.h>

#include "wrackline/core/batch.h"
#include "wrackline/core/status.h"

namespace wrackline::bindings {

namespace py = pybind11;

// (name, type, nullable); a list's type is "list[int64]".
using FieldTuple = std::tuple<std::string, std::string, bool>;

SchemaPtr make_schema(const std::vector<FieldTuple>& fields);
std::vector<FieldTuple> field_tuples(const Schema& schema);

// Immutable.
class Table {
 public:
  using Batches = std::vector<std::shared_ptr<const Batch>>;

  Table(SchemaPtr schema, Batches batches);

  const SchemaPtr& schema() const { return schema_; }
  const Batches& batches() const { return batches_; }
  int64_t length() const { return length_; }

  // Batches of several streams in one table: all columns of all of them, null where a stream has none.
  // Integers beside floats become floats; other types of one name are an error.
  static Result<Table> united(SchemaPtr first, const std::vector<Batch>& batches);
  // The last row of each value of `columns`, in the order of those rows; not those whose text in column `unless`, if
  // there is such a column, is `withdrawn`.
  Result<Table> last_of(const std::vector<std::string>& columns, const std::string& unless,
                        const std::string& withdrawn) const;
  // The columns of `schema`, in its order.
  Result<Table> conform(const SchemaPtr& schema) const;
  // All rows in one.
  Result<std::shared_ptr<const Batch>> one_batch() const;

 private:
  SchemaPtr schema_;
  Batches batches_;
  int64_t length_ = 0;
};

// Of anything with an Arrow interface. Raises what the object raises. REQUIRES: the GIL.
Result<Table> import_table(const py::object& frame);

// Rows [begin, end) as dicts. `times_as_datetime`: UTC; a time that datetime cannot hold stays an int (ms).
py::list rows_of(const Table& table, int64_t begin, int64_t end, bool times_as_datetime);

}  // namespace wrackline::bindings

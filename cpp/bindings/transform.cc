#include "transform.h"

#include <algorithm>

#include "bindings.h"
#include "held.h"
#include "values.h"

namespace wrackline::bindings {
namespace {

class PythonTransform : public Transform {
 public:
  PythonTransform(py::function function, std::vector<Field> makes)
      : function_(new py::function(std::move(function))), makes_(std::move(makes)) {}

  Result<Transformed> apply(const std::shared_ptr<const Batch>& batch) const final {
    keep_thread_state();
    const py::gil_scoped_acquire gil;
    try {
      return call(batch);
    } catch (py::error_already_set& error) {
      return failure_of(error);
    }
  }

 protected:
  virtual Result<Transformed> call(const std::shared_ptr<const Batch>& batch) const = 0;
  const py::function& function() const { return *function_; }
  const std::vector<Field>& makes() const { return makes_; }

 private:
  const Held<py::function> function_;
  const std::vector<Field> makes_;
};

class FrameFunction final : public PythonTransform {
 public:
  FrameFunction(py::function function, std::vector<Field> makes, bool keeps)
      : PythonTransform(std::move(function), std::move(makes)), keeps_(keeps) {}

 private:
  Result<Transformed> call(const std::shared_ptr<const Batch>& batch) const override {
    const py::object frame = function()(Table(batch->schema, {batch}));
    WL_ASSIGN_OR_RETURN(Table table, of_no_row(import_table(frame)));
    if (!keeps_) {
      WL_ASSIGN_OR_RETURN(table, of_no_row(table.conform(std::make_shared<const Schema>(makes()))));
    } else if (table.schema()->size() != 1 || table.schema()->field(0).type != Type::kBool) {
      return Status::fatal("a predicate gives one column of bools");
    }
    WL_ASSIGN_OR_RETURN(const std::shared_ptr<const Batch> made, table.one_batch());
    if (!keeps_) return Transformed{.columns = made->columns, .length = made->length, .from = std::nullopt};
    if (made->length != batch->length)
      return Transformed{.columns = {}, .length = made->length, .from = std::nullopt};  // of the wrong length
    Transformed kept{.from = Buffer<int64_t>()};
    const Column& keep = made->column(0);
    for (int64_t row = 0; row < made->length; ++row) {
      if (!keep.is_null(row) && keep.bool_at(row)) kept.from->push_back(row);
    }
    kept.length = static_cast<int64_t>(kept.from->size());
    return kept;
  }

  const bool keeps_;
};

class RowFunction final : public PythonTransform {
 public:
  RowFunction(py::function function, std::vector<Field> makes, bool several)
      : PythonTransform(std::move(function), std::move(makes)), several_(several), python_(new Python) {
    for (const Field& field : this->makes()) python_->names.append(py::str(field.name));
  }

 private:
  Result<Transformed> call(const std::shared_ptr<const Batch>& batch) const override {
    const ToPython to_python(true);
    std::vector<std::shared_ptr<Column>> columns;
    for (const Field& field : makes()) columns.push_back(std::make_shared<Column>(field.type, field.item));
    Transformed made;
    Buffer<int64_t> from;  // of each row in `columns`, also of those that are no good
    Buffer<int64_t> good;
    std::vector<py::object> values(batch->columns.size());
    std::vector<PyObject*> arguments(batch->columns.size());
    for (int64_t row = 0; row < batch->length; ++row) {
      const auto before = static_cast<int64_t>(from.size());
      try {
        for (size_t i = 0; i < values.size(); ++i) {
          values[i] = to_python.cell(*batch->columns[i], row, batch->schema->field(static_cast<int>(i)).json);
          arguments[i] = values[i].ptr();
        }
        const auto answer = py::reinterpret_steal<py::object>(
            PyObject_Vectorcall(function().ptr(), arguments.data(), arguments.size(), nullptr));
        if (!answer) throw py::error_already_set();
        if (several_) {
          for (const py::handle one : py::iter(answer)) append(columns, one, row, from);
        } else {
          append(columns, answer, row, from);
        }
        for (auto i = before; i < static_cast<int64_t>(from.size()); ++i) good.push_back(i);
      } catch (py::error_already_set& error) {
        if (!error.matches(PyExc_Exception)) throw;
        made.failed.push_back({row, failure_of(error).message()});
        // What it had appended stays, unused.
        int64_t longest = before;
        for (const auto& column : columns) longest = std::max(longest, column->length());
        from.resize(static_cast<size_t>(longest), row);
        for (const auto& column : columns) {
          while (column->length() < longest) column->append_null();
        }
      }
    }
    made.length = static_cast<int64_t>(good.size());
    made.from.emplace();
    for (const int64_t i : good) made.from->push_back(from[static_cast<size_t>(i)]);
    for (const auto& column : columns) made.columns.push_back(made.failed.empty() ? column : gather(*column, good));
    return made;
  }

  // One row of the output. If it fails, some of the columns have it.
  void append(const std::vector<std::shared_ptr<Column>>& columns, py::handle answer, int64_t row,
              Buffer<int64_t>& from) const {
    const size_t count = makes().size();
    std::vector<py::object> parts;
    if (py::isinstance<py::dict>(answer)) {
      for (const py::handle name : python_->names) {
        PyObject* value = PyDict_GetItemWithError(answer.ptr(), name.ptr());
        if (value == nullptr && PyErr_Occurred() != nullptr) throw py::error_already_set();
        parts.push_back(value == nullptr ? py::none() : py::reinterpret_borrow<py::object>(value));
      }
      if (PyDict_Size(answer.ptr()) > static_cast<Py_ssize_t>(count)) refuse(answer);
    } else if (py::isinstance<py::tuple>(answer) && count != 1) {
      if (PyTuple_Size(answer.ptr()) != static_cast<Py_ssize_t>(count)) refuse(answer);
      for (const py::handle part : py::reinterpret_borrow<py::tuple>(answer))
        parts.push_back(py::reinterpret_borrow<py::object>(part));
    } else if (count == 1) {
      parts.push_back(py::reinterpret_borrow<py::object>(answer));
    } else {
      refuse(answer);
    }
    for (size_t i = 0; i < count; ++i) {
      const Field& field = makes()[i];
      python_->from.append(*columns[i], field, parts[i], [&] { return "column \"" + field.name + "\": "; });
    }
    from.push_back(row);
  }

  [[noreturn]] void refuse(py::handle answer) const {
    const std::string names = py::str(py::str(", ").attr("join")(python_->names));
    raise(Status::invalid("it returned " + py::repr(answer).cast<std::string>().substr(0, 100) +
                          ", not a dict or tuple of " + names));
  }

  struct Python {
    py::list names;
    FromPython from;
  };

  const bool several_;
  const Held<Python> python_;
};

}  // namespace

std::shared_ptr<const Transform> make_transform(const std::string& kind, const py::object& function,
                                                const std::vector<Field>& makes) {
  if (kind == "columns") return pass_on();
  if (kind == "frame" || kind == "keep")
    return std::make_shared<FrameFunction>(py::function(function), makes, kind == "keep");
  return std::make_shared<RowFunction>(py::function(function), makes, kind == "rows");
}

}  // namespace wrackline::bindings

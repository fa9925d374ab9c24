#include "custom.h"

#include "bindings.h"
#include "held.h"
#include <pybind11/stl.h>

namespace wrackline::bindings {
namespace {

// Polars computes some things otherwise for one row than for more (a division by a constant, in the last bit), and what
// else is in a call must not show. So a single state comes twice.
std::shared_ptr<const Batch> twice(const std::shared_ptr<const Batch>& batch) {
  Buffer<int64_t> rows;
  for (int time = 0; time < 2; ++time) {
    for (int64_t row = 0; row < batch->length; ++row) rows.push_back(row);
  }
  auto doubled = std::make_shared<Batch>();
  doubled->schema = batch->schema;
  doubled->length = 2 * batch->length;
  for (const ColumnPtr& column : batch->columns) doubled->columns.push_back(gather(*column, rows));
  return doubled;
}

class PythonAggregate final : public CustomAggregate {
 public:
  PythonAggregate(const py::object& of, BatchPtr initial, Field result)
      : name_(of.attr("name").cast<std::string>()),
        initial_(std::move(initial)),
        row_names_(of.attr("rows").cast<std::vector<std::string>>()),
        result_(std::move(result)),
        result_schema_(std::make_shared<const Schema>(std::vector<Field>{result_})),
        python_(new Python{of.attr("add"), of.attr("merge"), of.attr("finish")}) {
    mergeable_ = !python_->merge.is_none();
  }

  const std::string& name() const override { return name_; }
  const BatchPtr& initial() const override { return initial_; }
  const std::vector<std::string>& row_names() const override { return row_names_; }
  const Field& result() const override { return result_; }
  bool mergeable() const override { return mergeable_; }

  Result<Columns> add(const BatchPtr& states, const BatchPtr& rows, const ColumnPtr& groups) const override {
    if (states->length == 1) {
      auto both = std::make_shared<Column>(Type::kInt64);
      for (int64_t i = 0; i < 2 * rows->length; ++i) both->append_int64(i / rows->length);
      return first(add(twice(states), twice(rows), both));
    }
    static const SchemaPtr schema = std::make_shared<const Schema>(std::vector<Field>{{"group", Type::kInt64, false}});
    auto group = std::make_shared<Batch>();
    group->schema = schema;
    group->columns = {groups};
    group->length = groups->length();
    const BatchPtr whole = group;
    return call("add", initial_->schema, states->length, [&] {
      return python_->add(Table(states->schema, {states}), Table(rows->schema, {rows}), Table(schema, {whole}));
    });
  }

  Result<Columns> merge(const BatchPtr& states, const BatchPtr& later) const override {
    if (states->length == 1) return first(merge(twice(states), twice(later)));
    return call("merge", initial_->schema, states->length,
                [&] { return python_->merge(Table(states->schema, {states}), Table(later->schema, {later})); });
  }

  Result<ColumnPtr> finish(const BatchPtr& states) const override {
    if (states->length == 1) {
      WL_ASSIGN_OR_RETURN(const ColumnPtr both, finish(twice(states)));
      return slice(*both, 0, 1);
    }
    WL_ASSIGN_OR_RETURN(const Columns columns, call("finish", result_schema_, states->length,
                                                    [&] { return python_->finish(Table(states->schema, {states})); }));
    return columns[0];
  }

 private:
  struct Python {
    py::object add;
    py::object merge;
    py::object finish;
  };

  static Result<Columns> first(Result<Columns> both) {
    if (!both.ok()) return both;
    Columns columns;
    for (const ColumnPtr& column : both.value()) columns.push_back(slice(*column, 0, 1));
    return columns;
  }

  template <typename F>
  Result<Columns> call(const std::string& what, const SchemaPtr& schema, int64_t length, F f) const {
    keep_thread_state();
    const py::gil_scoped_acquire gil;
    const auto columns = [&]() -> Result<Columns> {
      try {
        WL_ASSIGN_OR_RETURN(Table table, of_no_row(import_table(f())));
        for (const Field& field : schema->fields()) {
          if (table.schema()->index_of(field.name) < 0)
            return Status::fatal("it returned no column '" + field.name + "'");
        }
        WL_ASSIGN_OR_RETURN(table, of_no_row(table.conform(schema)));
        WL_ASSIGN_OR_RETURN(const BatchPtr made, table.one_batch());
        if (made->length == length) return made->columns;
        return Status::fatal("it returned " + rows(made->length) + " for " + std::to_string(length) +
                             " states; it gives a row for each");
      } catch (py::error_already_set& error) {
        const Status failure = failure_of(error);
        return Status::fatal(failure.message());
      }
    }();
    return columns.ok() ? columns : columns.status().with_context(what);
  }

  static std::string rows(int64_t count) { return std::to_string(count) + (count == 1 ? " row" : " rows"); }

  const std::string name_;
  const BatchPtr initial_;
  const std::vector<std::string> row_names_;
  const Field result_;
  const SchemaPtr result_schema_;
  const Held<Python> python_;
  bool mergeable_ = false;
};

}  // namespace

std::shared_ptr<const CustomAggregate> make_custom(const py::object& of) {
  const SchemaPtr schema = make_schema(of.attr("state").cast<std::vector<FieldTuple>>());
  const Table table = check(check(import_table(of.attr("initial")), Of::kJob).conform(schema), Of::kJob);
  WL_CHECK(table.length() == 1);
  const Field result = make_schema({of.attr("returns").cast<FieldTuple>()})->field(0);
  return std::make_shared<PythonAggregate>(of, check(table.one_batch(), Of::kJob), result);
}

}  // namespace wrackline::bindings

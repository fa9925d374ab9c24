#include "watermark.h"

#include "bindings.h"
#include "held.h"

namespace wrackline::bindings {
namespace {

class PythonWatermark final : public WatermarkFunction {
 public:
  explicit PythonWatermark(py::function function) : function_(new py::function(std::move(function))) {}

  Result<ColumnPtr> apply(const std::shared_ptr<const Batch>& batch) const override {
    keep_thread_state();
    const py::gil_scoped_acquire gil;
    try {
      const py::object made = (*function_)(Table(batch->schema, {batch}));
      if (py::isinstance<py::str>(made)) return Status::fatal(made.cast<std::string>());
      WL_ASSIGN_OR_RETURN(const Table table, of_no_row(import_table(made)));
      WL_ASSIGN_OR_RETURN(const std::shared_ptr<const Batch> marks, table.one_batch());
      return marks->columns.at(0);
    } catch (py::error_already_set& error) {
      return Status::fatal(failure_of(error).message());
    }
  }

 private:
  const Held<py::function> function_;
};

}  // namespace

std::shared_ptr<const WatermarkFunction> make_watermark(py::function function) {
  return std::make_shared<PythonWatermark>(std::move(function));
}

}  // namespace wrackline::bindings

// From Status to Python exceptions, and the GIL rule: whatever may take time runs in without_gil(), and log
// lines of the core wait in a queue until a thread that holds the GIL comes by. So no thread of the core ever
// waits for the GIL, and none can call into an interpreter that has gone.
#pragma once

#include <string>
#include <type_traits>
#include <utility>

#include <pybind11/pybind11.h>

#include "wrackline/core/status.h"

namespace wrackline::bindings {

namespace py = pybind11;

// What an invalid argument was given to: a call, or the description of a job.
enum class Of { kCall, kJob };

// Throws the class of wrackline.errors that stands for `status`. REQUIRES: the GIL, !status.ok().
[[noreturn]] void raise(const Status& status, Of of = Of::kCall);

inline void check(const Status& status, Of of = Of::kCall) {
  if (!status.ok()) raise(status, of);
}

template <typename T>
T check(Result<T> result, Of of = Of::kCall) {
  if (!result.ok()) raise(result.status(), of);
  return std::move(result).value();
}

// An exception of a user's function as what its batch failed with: Code::kInvalidArgument, or kFatal for one that is
// meant to end the program (KeyboardInterrupt). It is remembered: if its message ends the run, it is the cause of what
// raise() raises, or is raised itself. REQUIRES: the GIL.
Status failure_of(py::error_already_set& error);

// Hands queued log lines to Python's logging. REQUIRES: the GIL.
void pass_on_log_lines();

// Calls f() with the GIL released, then passes on what was logged meanwhile. f must not touch Python.
template <typename F>
auto without_gil(F&& f) {
  if constexpr (std::is_void_v<std::invoke_result_t<F>>) {
    {
      const py::gil_scoped_release release;
      std::forward<F>(f)();
    }
    pass_on_log_lines();
  } else {
    auto result = [&] {
      const py::gil_scoped_release release;
      return std::forward<F>(f)();
    }();
    pass_on_log_lines();
    return result;
  }
}

void register_errors(py::module_& m);

}  // namespace wrackline::bindings

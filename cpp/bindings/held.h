// What threads of the core need to call Python.
#pragma once

#include <memory>

#include "bindings.h"
#include "table.h"

namespace wrackline::bindings {

// Keeps the thread state of a thread of ours between calls: making one costs more than a small call.
inline void keep_thread_state() {
  struct Kept {
    Kept() {
      if (PyGILState_GetThisThreadState() != nullptr) return;
      const PyGILState_STATE state = PyGILState_Ensure();
      static_cast<void>(state);
      made = PyEval_SaveThread();
    }
    ~Kept() {
      if (made == nullptr || Py_IsInitialized() == 0) return;
      PyEval_RestoreThread(made);
      PyGILState_Release(PyGILState_UNLOCKED);
    }
    PyThreadState* made = nullptr;
  };
  static thread_local Kept kept;
  static_cast<void>(kept);
}

// What a transform holds of Python's goes with the GIL, on whatever thread that is; behind the interpreter's end not at
// all.
struct WithGil {
  template <typename T>
  void operator()(T* held) const {
    if (Py_IsInitialized() == 0) return;
    const py::gil_scoped_acquire gil;
    delete held;
  }
};

template <typename T>
using Held = std::unique_ptr<T, WithGil>;

// What is wrong with a frame that a function returned is wrong with none of the rows that it was given.
inline Result<Table> of_no_row(Result<Table> table) {
  if (table.ok() || table.status().code() != Code::kInvalidArgument) return table;
  return Status::fatal("what it returned: " + table.status().message());
}

}  // namespace wrackline::bindings

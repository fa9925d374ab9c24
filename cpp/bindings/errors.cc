#include "errors.h"

#include <deque>
#include <mutex>

#include "wrackline/core/logging.h"

namespace wrackline::bindings {
namespace {

constexpr size_t kMaxLogLines = 1'000;  // waiting for Python; what comes beyond is counted

// Never destroyed: threads of the core may outlive the interpreter.
struct LogQueue {
  std::mutex mutex;
  std::deque<std::pair<LogLevel, std::string>> lines;
  int64_t dropped = 0;
};

LogQueue& log_queue() {
  static auto* queue = new LogQueue();
  return *queue;
}

const char* class_of(Code code, Of of) {
  switch (code) {
    case Code::kInvalidArgument: return of == Of::kJob ? "InvalidJobError" : "InvalidArgumentError";
    case Code::kNotFound: return "NotFoundError";
    case Code::kAlreadyExists: return "AlreadyExistsError";
    case Code::kFenced: return "FencedError";
    case Code::kCorruption: return "CorruptionError";
    case Code::kUnavailable:
    case Code::kRetriable: return "UnavailableError";
    case Code::kOk:
    case Code::kAbort:
    case Code::kFatal:
    case Code::kCrashed: break;
  }
  return "JobFailedError";
}

int python_level(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug: return 10;
    case LogLevel::kInfo: return 20;
    case LogLevel::kWarning: return 30;
    case LogLevel::kError: break;
  }
  return 40;
}

// Looked up once and leaked on purpose: it is needed until the interpreter ends.
PyObject* log_function() {
  static PyObject* function =
      py::object(py::module_::import("logging").attr("getLogger")("wrackline").attr("log")).release().ptr();
  return function;
}

// The last exception of a user's function, and the message that it became. Guarded by the GIL.
struct Remembered {
  std::string message;
  PyObject* exception = nullptr;
};

Remembered& remembered() {
  static auto* one = new Remembered();
  return *one;
}

// "file.py, line 12", where the function of a traceback failed; empty if there is none.
std::string place_of(py::handle exception) {
  const py::object frames = py::module_::import("traceback").attr("extract_tb")(exception.attr("__traceback__"));
  if (py::len(frames) == 0) return {};
  const py::object last = frames[py::int_(-1)];
  const std::string file = py::str(py::module_::import("os.path").attr("basename")(last.attr("filename")));
  return file + ", line " + py::str(last.attr("lineno")).cast<std::string>();
}

}  // namespace

Status failure_of(py::error_already_set& error) {
  const py::object exception = error.value();
  if (error.trace()) PyException_SetTraceback(exception.ptr(), error.trace().ptr());
  const std::string type = py::str(py::type::handle_of(exception).attr("__name__"));
  std::string text = py::str(exception);
  if (text.size() > 500) text = text.substr(0, 500) + "...";
  const std::string place = place_of(exception);
  std::string message = type + (text.empty() ? "" : ": " + text) + (place.empty() ? "" : " (" + place + ")");
  const bool of_a_row = error.matches(PyExc_Exception);
  Remembered& last = remembered();
  Py_XDECREF(std::exchange(last.exception, exception.inc_ref().ptr()));
  last.message = message;
  return of_a_row ? Status::invalid(std::move(message)) : Status::fatal(std::move(message));
}

void raise(const Status& status, Of of) {
  static PyObject* errors = py::module_::import("wrackline.errors").release().ptr();
  const py::object type = py::handle(errors).attr(class_of(status.code(), of));
  // Messages may carry bytes of a user's data.
  const py::object message = py::reinterpret_steal<py::object>(
      PyUnicode_DecodeUTF8(status.message().data(), static_cast<Py_ssize_t>(status.message().size()), "replace"));
  if (!message) throw py::error_already_set();
  if (Remembered& last = remembered();
      last.exception != nullptr && status.message().find(last.message) != std::string::npos) {
    const auto cause = py::reinterpret_steal<py::object>(std::exchange(last.exception, nullptr));
    if (PyObject_IsInstance(cause.ptr(), PyExc_Exception) != 1) {
      PyErr_SetObject(py::type::handle_of(cause).ptr(), cause.ptr());
      throw py::error_already_set();
    }
    const py::object raised = type(message);
    PyException_SetCause(raised.ptr(), py::object(cause).release().ptr());
    PyErr_SetObject(type.ptr(), raised.ptr());
    throw py::error_already_set();
  }
  PyErr_SetObject(type.ptr(), message.ptr());
  throw py::error_already_set();
}

void pass_on_log_lines() {
  std::deque<std::pair<LogLevel, std::string>> lines;
  {
    LogQueue& queue = log_queue();
    const std::lock_guard lock(queue.mutex);
    if (queue.lines.empty()) return;
    lines.swap(queue.lines);
    if (const int64_t dropped = std::exchange(queue.dropped, 0); dropped > 0) {
      lines.emplace_back(LogLevel::kWarning, std::to_string(dropped) + " log lines were dropped");
    }
  }
  const py::error_scope keep;  // an exception may be on its way
  for (const auto& [level, line] : lines) {
    const py::object text = py::reinterpret_steal<py::object>(
        PyUnicode_DecodeUTF8(line.data(), static_cast<Py_ssize_t>(line.size()), "replace"));
    // "%s": a line may hold percent signs.
    const py::object done = py::reinterpret_steal<py::object>(
        PyObject_CallFunction(log_function(), "isO", python_level(level), "%s", text.ptr()));
    if (!done) PyErr_WriteUnraisable(log_function());
  }
}

void register_errors(py::module_& m) {
  set_log_hook([](LogLevel level, std::string_view line) {
    LogQueue& queue = log_queue();
    const std::lock_guard lock(queue.mutex);
    if (queue.lines.size() < kMaxLogLines) {
      queue.lines.emplace_back(level, line);
    } else {
      ++queue.dropped;
    }
  });
  m.def("pass_on_log_lines", &pass_on_log_lines, "Hands what the core has logged to logging.");
}

}  // namespace wrackline::bindings

// Windows as Python describes them.
#pragma once

#include <string>

#include "errors.h"

#include "wrackline/window/window.h"

namespace wrackline::bindings {

// `of`: the settings of Window in windows.py.
WindowKind window_kind(const std::string& kind, const py::dict& of);

}  // namespace wrackline::bindings

// Where the core's log lines go: one hook for the process, set by the binding (Python's `logging`)
// or a test. Thread-safe.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace wrackline {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

using LogHook = std::function<void(LogLevel, std::string_view)>;

// Replaces the hook; an empty one drops every line (the default).
void set_log_hook(LogHook hook);
void log_line(LogLevel level, std::string_view line);

}  // namespace wrackline

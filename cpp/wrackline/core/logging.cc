#include "wrackline/core/logging.h"

#include <mutex>
#include <utility>

namespace wrackline {
namespace {

// Leaked on purpose: a line may be written while static objects are being destroyed.
struct Registry {
  std::mutex mutex;
  LogHook hook;  // guarded by mutex
};
Registry& registry() {
  static auto* const instance = new Registry;
  return *instance;
}

}  // namespace

void set_log_hook(LogHook hook) {
  const std::lock_guard lock(registry().mutex);
  registry().hook = std::move(hook);
}

void log_line(LogLevel level, std::string_view line) {
  LogHook hook;
  {
    const std::lock_guard lock(registry().mutex);
    hook = registry().hook;
  }
  if (hook) hook(level, line);
}

}  // namespace wrackline

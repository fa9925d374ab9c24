// Stores for jobs on a memory log: state lives as long as the log that it belongs to, so that a second run in
// the same process finds it.
#pragma once

#include <memory>
#include <string>

#include "wrackline/log/log.h"
#include "wrackline/store/store.h"

namespace wrackline {

// A handle on the store `name` of `log`, made at its first use. Thread-safe; the handle belongs to one thread, and
// only one handle of a name may be in use.
std::unique_ptr<Store> memory_store_of(const std::shared_ptr<Log>& log, const std::string& name);

}  // namespace wrackline

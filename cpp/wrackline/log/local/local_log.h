// The Log of the embedded log: a thin handle on an engine.
#pragma once

#include <memory>
#include <string>

#include "wrackline/log/local/engine.h"
#include "wrackline/log/log.h"

namespace wrackline::local {

// `writable` false: every call that writes answers kUnavailable, whatever the engine can do.
std::shared_ptr<Log> make_log(std::shared_ptr<Engine> engine, std::string uri, bool writable);
std::unique_ptr<LogClient> make_client(std::shared_ptr<Engine> engine, const ClientOptions& options, bool writable);

// Behind open_log() and open_log_for_reading(). One engine per name or directory in the process: what is
// already open is shared.
Result<std::shared_ptr<Log>> open_memory_log(const std::string& name, const std::string& uri, bool writable);
Result<std::shared_ptr<Log>> open_directory_log(const std::string& directory, const std::string& uri, bool writable);

}  // namespace wrackline::local

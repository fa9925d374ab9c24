// Behind open_log("kafka://...").
#pragma once

#include <memory>
#include <string>

#include "wrackline/log/log.h"

namespace wrackline::kafka {

// Checks address and options, without I/O.
Status check(const std::string& uri, const LogSettings& settings);
// Connects: kUnavailable within connect_timeout names the brokers and the cause.
Result<std::shared_ptr<Log>> open_kafka_log(const std::string& uri, const LogSettings& settings, bool writable);

}  // namespace wrackline::kafka

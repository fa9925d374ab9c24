#include "wrackline/log/kafka/kafka_log.h"
#include "wrackline/log/local/local_log.h"
#include "wrackline/log/log.h"

namespace wrackline {
namespace {

constexpr std::string_view kMemory = "memory:";
constexpr std::string_view kLocal = "local:";
constexpr std::string_view kKafka = "kafka:";

Result<std::shared_ptr<Log>> open(const std::string& uri, const LogSettings& settings, bool writable) {
  if (!settings.empty() && !uri.starts_with(kKafka))
    return Status::invalid("log '" + uri + "' has no option '" + settings.begin()->first + "'");
  if (uri.starts_with(kMemory)) return local::open_memory_log(uri.substr(kMemory.size()), uri, writable);
  if (uri.starts_with(kLocal) && uri.size() > kLocal.size()) {
    return local::open_directory_log(uri.substr(kLocal.size()), uri, writable);
  }
  if (uri.starts_with(kKafka)) return kafka::open_kafka_log(uri, settings, writable);
  return Status::invalid("log '" + uri +
                         "': expected 'memory:', 'memory:NAME', 'local:DIRECTORY' or 'kafka://HOST:PORT'");
}

}  // namespace

// No log takes time from the clock: records carry what their producer's says, and a broker has its own.
Result<std::shared_ptr<Log>> open_log(const std::string& uri, std::shared_ptr<const Clock> /*clock*/,
                                      const LogSettings& settings) {
  return open(uri, settings, true);
}

Result<std::shared_ptr<Log>> open_log_for_reading(const std::string& uri, std::shared_ptr<const Clock> /*clock*/,
                                                  const LogSettings& settings) {
  return open(uri, settings, false);
}

}  // namespace wrackline

#include "wrackline/log/kafka/kafka_log.h"
#include "wrackline/log/local/local_log.h"
#include "wrackline/log/log.h"

namespace wrackline {
namespace {

constexpr std::string_view kMemory = "memory:";
constexpr std::string_view kLocal = "local:";
constexpr std::string_view kKafka = "kafka:";

Result<std::shared_ptr<Log>> open(const std::string& uri, const LogSettings& settings, bool writable) {
  WL_RETURN_IF_ERROR(check_log(uri, settings));
  if (uri.starts_with(kMemory)) return local::open_memory_log(uri.substr(kMemory.size()), uri, writable);
  if (uri.starts_with(kLocal)) return local::open_directory_log(uri.substr(kLocal.size()), uri, writable);
  return kafka::open_kafka_log(uri, settings, writable);
}

}  // namespace

Status check_log(const std::string& uri, const LogSettings& settings) {
  if (uri.starts_with(kKafka)) return kafka::check(uri, settings);
  if (!settings.empty()) return Status::invalid("log '" + uri + "' has no option '" + settings.begin()->first + "'");
  if (uri.starts_with(kMemory) || (uri.starts_with(kLocal) && uri.size() > kLocal.size())) return {};
  return Status::invalid("log '" + uri +
                         "': expected 'memory:', 'memory:NAME', 'local:DIRECTORY' or 'kafka://HOST:PORT'");
}

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

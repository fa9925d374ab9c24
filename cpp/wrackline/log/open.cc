#include "wrackline/log/local/local_log.h"
#include "wrackline/log/log.h"

namespace wrackline {
namespace {

constexpr std::string_view kMemory = "memory:";
constexpr std::string_view kLocal = "local:";

Result<std::shared_ptr<Log>> open(const std::string& uri, const LogSettings& settings, bool writable) {
  if (!settings.empty() && !uri.starts_with("kafka:"))
    return Status::invalid("log '" + uri + "' has no option '" + settings.begin()->first + "'");
  if (uri.starts_with(kMemory)) return local::open_memory_log(uri.substr(kMemory.size()), uri, writable);
  if (uri.starts_with(kLocal) && uri.size() > kLocal.size()) {
    return local::open_directory_log(uri.substr(kLocal.size()), uri, writable);
  }
  if (uri.starts_with("kafka:")) return Status::invalid("this build has no Kafka client: '" + uri + "'");
  return Status::invalid("log '" + uri + "': expected 'memory:', 'memory:NAME' or 'local:DIRECTORY'");
}

}  // namespace

// The embedded logs take no time of their own: records carry what their producer's clock said.
Result<std::shared_ptr<Log>> open_log(const std::string& uri, std::shared_ptr<const Clock>,
                                      const LogSettings& settings) {
  return open(uri, settings, true);
}

Result<std::shared_ptr<Log>> open_log_for_reading(const std::string& uri, std::shared_ptr<const Clock>,
                                                  const LogSettings& settings) {
  return open(uri, settings, false);
}

}  // namespace wrackline

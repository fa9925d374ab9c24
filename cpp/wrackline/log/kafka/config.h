// Config: where the brokers are and how to talk to them: the user's options, checked, over our own defaults. Makes
// the handles of librdkafka, each for one role.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "wrackline/core/status.h"
#include "wrackline/log/kafka/handles.h"
#include "wrackline/log/log.h"

namespace wrackline::kafka {

enum class Role {
  kAdmin,   // metadata, topics, offsets; and appends outside of transactions
  kReader,  // fetches what it is told to
  kMember,  // is in the group, fetches nothing
  kProducer,
};

// What a handle says of its connections. Outlives the handle.
struct Connection {
  void heard(int error, const std::string& reason);
  std::string last_error() const;

  mutable std::mutex mutex;
  std::string reason;  // of the last error
  std::string said;    // the last line logged, so that a broker that is down is said once
};

using ConfOption = std::pair<const char*, std::string>;

class Config {
 public:
  // `uri`: kafka://HOST:PORT,... . kInvalidArgument names an unknown option and the nearest, or the refused value
  // (not that of a secret).
  static Result<Config> make(const std::string& uri, const LogSettings& settings);

  const std::string& uri() const { return uri_; }  // without secrets
  const std::string& servers() const { return servers_; }
  Millis connect_timeout() const { return connect_timeout_; }
  int64_t max_record_bytes() const { return max_record_bytes_; }
  bool incremental() const { return incremental_; }  // partitions are revoked one by one, not all at once
  bool recycles_late_ends() const { return recycles_late_ends_; }

  // `own`: options of this handle alone. `prepare`: callbacks, before it is made.
  Result<Handle> open(Role role, const std::vector<ConfOption>& own, Connection* connection,
                      const std::function<void(rd_kafka_conf_t*)>& prepare = {}) const;

 private:
  std::string uri_;
  std::string servers_;
  LogSettings settings_;
  Millis connect_timeout_ = 10'000;
  int64_t max_record_bytes_ = 1'000'000;  // message.max.bytes
  bool incremental_ = false;
  bool consumer_protocol_ = false;
  bool recycles_late_ends_ = true;
};

}  // namespace wrackline::kafka

// The handles that Python has of a log and of what was read from it.
#pragma once

#include <memory>
#include <utility>

#include "errors.h"

#include "wrackline/core/clock.h"
#include "wrackline/core/records.h"
#include "wrackline/log/log.h"

namespace wrackline::bindings {

// Raw records of one partition, as they were read.
struct RecordsView {
  std::shared_ptr<const Records> records;
  int64_t next_offset = 0;
};

// Closing drops our share; the log itself closes with its last user (a run may still hold it).
class LogHandle {
 public:
  explicit LogHandle(std::shared_ptr<Log> log) : log_(std::move(log)) {}
  const std::shared_ptr<Log>& get() const {
    if (log_ == nullptr) raise(Status::invalid("this log is closed"));
    return log_;
  }
  void close() {
    without_gil([log = std::move(log_)]() mutable { log.reset(); });
    log_.reset();
  }

 private:
  std::shared_ptr<Log> log_;
};

std::shared_ptr<const Clock> system_clock();

}  // namespace wrackline::bindings

// Wakeup: what lets one thread sleep until any of librdkafka's queues or our threads have something for it.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

#include <librdkafka/rdkafka.h>

#include "wrackline/core/types.h"

namespace wrackline::kafka {

class Wakeup {
 public:
  void set() {
    {
      const std::lock_guard lock(mutex_);
      set_ = true;
    }
    changed_.notify_one();
  }
  void clear() {
    const std::lock_guard lock(mutex_);
    set_ = false;
  }
  void wait(Millis timeout) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::milliseconds(timeout), [this] { return set_; });
  }
  // `queue` sets this when it is no longer empty. REQUIRES: this outlives the queue's handle.
  void watch(rd_kafka_queue_t* queue) {
    rd_kafka_queue_cb_event_enable(queue, [](rd_kafka_t*, void* self) { static_cast<Wakeup*>(self)->set(); }, this);
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool set_ = false;
};

}  // namespace wrackline::kafka

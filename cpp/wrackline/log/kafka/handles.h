// librdkafka's objects, owned.
#pragma once

#include <memory>
#include <string>

#include <librdkafka/rdkafka.h>

namespace wrackline::kafka {

template <auto destroy>
struct Destroy {
  template <typename T>
  void operator()(T* object) const {
    destroy(object);
  }
};

template <typename T, auto destroy>
using Owned = std::unique_ptr<T, Destroy<destroy>>;

// A request that is still on its way keeps its queue, but must not wake up whoever let go of it.
inline void let_go(rd_kafka_queue_t* queue) {
  rd_kafka_queue_cb_event_enable(queue, nullptr, nullptr);
  rd_kafka_queue_destroy(queue);
}

using Handle = Owned<rd_kafka_t, rd_kafka_destroy>;
using Queue = Owned<rd_kafka_queue_t, let_go>;
using Topic = Owned<rd_kafka_topic_t, rd_kafka_topic_destroy>;
using Error = Owned<rd_kafka_error_t, rd_kafka_error_destroy>;
using RdEvent = Owned<rd_kafka_event_t, rd_kafka_event_destroy>;
using PartitionList = Owned<rd_kafka_topic_partition_list_t, rd_kafka_topic_partition_list_destroy>;
using GroupMetadata = Owned<rd_kafka_consumer_group_metadata_t, rd_kafka_consumer_group_metadata_destroy>;

// Waits for a connection, `timeout_ms` at most. Asking for metadata is what makes the library look for one.
inline void await_connection(const Handle& handle, int timeout_ms) {
  const rd_kafka_metadata_t* metadata = nullptr;
  rd_kafka_metadata(handle.get(), 0, nullptr, &metadata, timeout_ms);
  if (metadata != nullptr) rd_kafka_metadata_destroy(metadata);
}

}  // namespace wrackline::kafka

// Plain loops over librdkafka with the settings that a job's own handles have: what the client alone can do.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "bids.h"

#include "wrackline/log/kafka/config.h"

namespace wrackline::bench {

// HOST:PORT of the broker that benchmarks are given.
inline std::string broker_address() {
  const char* address = std::getenv("WRACKLINE_TEST_BROKER");
  if (address != nullptr) return address;
  std::fprintf(stderr, "no broker: python -m wrackline.testing.broker run --flavour bench -- PROGRAM...\n");
  std::exit(2);
}
inline std::string broker_uri() { return "kafka://" + broker_address(); }

// Options of librdkafka to try, for jobs and plain loops alike:
// BENCH_KAFKA_OPTIONS="linger.ms=20,compression.type=none".
inline LogSettings broker_settings() {
  LogSettings settings;
  const char* given = std::getenv("BENCH_KAFKA_OPTIONS");
  std::stringstream text(given == nullptr ? "" : given);
  for (std::string option; std::getline(text, option, ',');) {
    const size_t equals = option.find('=');
    settings[option.substr(0, equals)] = equals == std::string::npos ? "" : option.substr(equals + 1);
  }
  return settings;
}

inline std::shared_ptr<Log> open_broker() {
  return must(open_log(broker_uri(), std::make_shared<SystemClock>(), broker_settings()));
}
inline std::shared_ptr<const kafka::Config> broker_config() {
  return std::make_shared<const kafka::Config>(must(kafka::Config::make(broker_uri(), broker_settings())));
}

// Reads all partitions of a topic from their start, through one queue.
class RawReader {
 public:
  RawReader(const kafka::Config& config, const std::string& topic, int32_t partitions)
      : ended_(static_cast<size_t>(partitions)), messages_(kBatch) {
    handle_ = must(config.open(kafka::Role::kReader, {{"isolation.level", "read_committed"}}, &connection_));
    topic_.reset(rd_kafka_topic_new(handle_.get(), topic.c_str(), nullptr));
    queue_.reset(rd_kafka_queue_new(handle_.get()));
    for (int32_t partition = 0; partition < partitions; ++partition) {
      if (rd_kafka_consume_start_queue(topic_.get(), partition, RD_KAFKA_OFFSET_BEGINNING, queue_.get()) != 0)
        std::abort();
    }
  }
  ~RawReader() {
    for (size_t i = 0; i < ended_.size(); ++i) rd_kafka_consume_stop(topic_.get(), static_cast<int32_t>(i));
  }
  RawReader(const RawReader&) = delete;
  RawReader& operator=(const RawReader&) = delete;

  // Waits for records for `timeout` at most; `each` gets every one. Returns how many there were.
  int64_t poll(int timeout, auto&& each) {
    const ssize_t count = rd_kafka_consume_batch_queue(queue_.get(), timeout, messages_.data(), messages_.size());
    int64_t records = 0;
    for (ssize_t i = 0; i < count; ++i) {
      rd_kafka_message_t* message = messages_[static_cast<size_t>(i)];
      const auto partition = static_cast<size_t>(message->partition);
      if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        ended_[partition] = false;
        each(*message);
        ++records;
      } else if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        ended_[partition] = true;
      } else {
        std::fprintf(stderr, "reading: %s\n", rd_kafka_message_errstr(message));
        std::abort();
      }
      rd_kafka_message_destroy(message);
    }
    return records;
  }
  bool at_end() const {
    for (const bool ended : ended_) {
      if (!ended) return false;
    }
    return true;
  }

 private:
  static constexpr size_t kBatch = 10'000;
  kafka::Connection connection_;
  kafka::Handle handle_;
  kafka::Topic topic_;
  kafka::Queue queue_;
  std::vector<bool> ended_;
  std::vector<rd_kafka_message_t*> messages_;
};

inline std::string_view value_of(const rd_kafka_message_t& message) {
  return {static_cast<const char*>(message.payload), message.len};
}

// Rows that are ready to be produced, by partition.
class ReadyRows {
 public:
  // Some of those in `topic`.
  ReadyRows(const kafka::Config& config, const std::string& topic, int32_t partitions)
      : rows_(static_cast<size_t>(partitions)) {
    RawReader reader(config, topic, partitions);
    while (!reader.at_end()) {
      reader.poll(100, [&](const rd_kafka_message_t& row) {
        std::vector<rd_kafka_message_t>& rows = rows_[static_cast<size_t>(row.partition)];
        if (rows.size() == kEach) return;
        rd_kafka_message_t& copy = rows.emplace_back();
        copy.payload = keep(row.payload, row.len);
        copy.len = row.len;
        copy.key = keep(row.key, row.key_len);
        copy.key_len = row.key_len;
        bytes_ += static_cast<double>(row.len + row.key_len);
        ++count_;
      });
    }
  }
  std::vector<rd_kafka_message_t>& of(size_t partition) { return rows_[partition]; }
  size_t partitions() const { return rows_.size(); }
  double mean_bytes() const { return bytes_ / static_cast<double>(count_); }

 private:
  static constexpr size_t kEach = 20'000;
  void* keep(const void* data, size_t size) {
    kept_.push_back(std::make_unique<char[]>(size + 1));
    std::memcpy(kept_.back().get(), data, size);
    return kept_.back().get();
  }
  std::vector<std::unique_ptr<char[]>> kept_;
  std::vector<std::vector<rd_kafka_message_t>> rows_;
  double bytes_ = 0;
  int64_t count_ = 0;
};

// Produces ready-made rows, the same again and again, into all partitions in turn.
class RawProducer {
 public:
  RawProducer(const kafka::Config& config, const std::string& topic, ReadyRows& rows)
      : rows_(rows), next_(rows.partitions()) {
    handle_ = must(config.open(kafka::Role::kProducer, {{"message.timeout.ms", "10000"}}, &connection_,
                               [](rd_kafka_conf_t* conf) { rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR); }));
    topic_.reset(rd_kafka_topic_new(handle_.get(), topic.c_str(), nullptr));
    events_.reset(rd_kafka_queue_get_main(handle_.get()));
  }

  void produce(int64_t count) {
    while (count > 0) {
      std::vector<rd_kafka_message_t>& rows = rows_.of(turn_);
      size_t& next = next_[turn_];
      const auto part = static_cast<int>(std::min<size_t>({static_cast<size_t>(count), rows.size() - next, kBatch}));
      const int done = rd_kafka_produce_batch(topic_.get(), static_cast<int32_t>(turn_), RD_KAFKA_MSG_F_COPY,
                                              rows.data() + next, part);
      count -= done;
      next = (next + static_cast<size_t>(done)) % rows.size();
      serve(done < part ? 1 : 0);  // the queue is full
      if (done == part) turn_ = (turn_ + 1) % rows_.partitions();
    }
  }
  void flush() {
    while (rd_kafka_flush(handle_.get(), 1) == RD_KAFKA_RESP_ERR__TIMED_OUT) serve(0);
  }

 private:
  static constexpr size_t kBatch = 2'000;
  void serve(int timeout) {
    while (const kafka::RdEvent event{rd_kafka_queue_poll(events_.get(), timeout)}) {
      if (rd_kafka_event_type(event.get()) == RD_KAFKA_EVENT_DR) std::abort();  // only failures are reported
      timeout = 0;
    }
  }

  ReadyRows& rows_;
  std::vector<size_t> next_;  // by partition
  size_t turn_ = 0;
  kafka::Connection connection_;
  kafka::Handle handle_;
  kafka::Topic topic_;
  kafka::Queue events_;
};

// Commits offsets of a group that has no members.
class RawOffsets {
 public:
  RawOffsets(const kafka::Config& config, const std::string& group, std::string topic, int32_t partitions)
      : topic_(std::move(topic)), next_(static_cast<size_t>(partitions)) {
    handle_ = must(config.open(kafka::Role::kMember, {{"group.id", group}}, &connection_));
  }
  void passed(const rd_kafka_message_t& message) { next_[static_cast<size_t>(message.partition)] = message.offset + 1; }
  void commit() {
    const kafka::PartitionList list(rd_kafka_topic_partition_list_new(static_cast<int>(next_.size())));
    for (size_t i = 0; i < next_.size(); ++i)
      rd_kafka_topic_partition_list_add(list.get(), topic_.c_str(), static_cast<int32_t>(i))->offset = next_[i];
    rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR_NO_ERROR;
    for (int attempt = 0; attempt < 100; ++attempt) {  // a new broker's coordinator is not there at once
      error = rd_kafka_commit(handle_.get(), list.get(), 0);
      if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return;
      rd_kafka_poll(handle_.get(), 100);
    }
    std::fprintf(stderr, "committing offsets: %s\n", rd_kafka_err2str(error));
    std::abort();
  }

 private:
  const std::string topic_;
  std::vector<int64_t> next_;
  kafka::Connection connection_;
  kafka::Handle handle_;
};

}  // namespace wrackline::bench

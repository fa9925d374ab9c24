#include "wrackline/log/kafka/reader.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "wrackline/log/kafka/errors.h"

namespace wrackline::kafka {
namespace {

constexpr int64_t kQuietUs = 1'000'000;
constexpr int kConnecting = 20;  // ms

Headers headers_of(rd_kafka_message_t& message) {
  Headers headers;
  rd_kafka_headers_t* raw = nullptr;
  if (rd_kafka_message_headers(&message, &raw) != RD_KAFKA_RESP_ERR_NO_ERROR) return headers;
  const char* name = nullptr;
  const void* value = nullptr;
  size_t size = 0;
  for (size_t i = 0; rd_kafka_header_get_all(raw, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR; ++i) {
    headers.emplace_back(name, value == nullptr ? std::string() : std::string(static_cast<const char*>(value), size));
  }
  return headers;
}

void add(Records::Writer& writer, const rd_kafka_message_t& message, Millis timestamp) {
  if (message.key != nullptr) {
    std::memcpy(writer.key_room(message.key_len), message.key, message.key_len);
    writer.set_key(message.key_len);
  }
  if (message.payload == nullptr) {
    writer.end_tombstone(timestamp, message.offset);
    return;
  }
  std::memcpy(writer.value_room(message.len), message.payload, message.len);
  writer.end_record(message.len, timestamp, message.offset);
}

}  // namespace

Result<std::unique_ptr<Reader>> Reader::open(const Config& config, Isolation isolation, std::shared_ptr<Wakeup> wakeup,
                                             const std::vector<ConfOption>& own) {
  std::vector<ConfOption> options = own;
  options.emplace_back("isolation.level",
                       isolation == Isolation::kReadCommitted ? "read_committed" : "read_uncommitted");
  auto reader = std::unique_ptr<Reader>(new Reader(std::move(wakeup)));
  WL_ASSIGN_OR_RETURN(reader->handle_, config.open(Role::kReader, options, &reader->connection_));
  return reader;
}

Reader::~Reader() {
  while (!readings_.empty()) stop(readings_.begin()->first);
  topics_.clear();
}

Status Reader::start(const TopicPartition& partition, int64_t offset) {
  stop(partition);
  Topic& topic = topics_[partition.topic];
  if (topic == nullptr) topic.reset(rd_kafka_topic_new(handle_.get(), partition.topic.c_str(), nullptr));
  auto reading = std::make_unique<Reading>();
  reading->partition = partition;
  reading->queue.reset(rd_kafka_queue_new(handle_.get()));
  reading->position = offset;
  wakeup_->watch(reading->queue.get());
  if (rd_kafka_consume_start_queue(topic.get(), partition.partition, offset, reading->queue.get()) != 0)
    return status_of(rd_kafka_last_error(), "reading topic '" + partition.topic + "'");
  turns_.push_back(reading.get());
  readings_[partition] = std::move(reading);
  return {};
}

void Reader::stop(const TopicPartition& partition) {
  const auto found = readings_.find(partition);
  if (found == readings_.end()) return;
  rd_kafka_consume_stop(topics_[partition.topic].get(), partition.partition);
  std::erase(turns_, found->second.get());
  readings_.erase(found);
}

void Reader::set_paused(const TopicPartition& partition, bool paused) {
  const auto found = readings_.find(partition);
  if (found != readings_.end()) found->second->paused = paused;
}

Event Reader::poll(int64_t max_records) {
  for (size_t tried = 0; tried < turns_.size(); ++tried) {
    next_ = next_ + 1 < turns_.size() ? next_ + 1 : 0;
    if (turns_[next_]->paused) continue;
    if (Event event = read(*turns_[next_], max_records); !std::holds_alternative<std::monostate>(event)) return event;
  }
  return {};
}

Event Reader::poll(const TopicPartition& partition, int64_t max_records) {
  return read(*readings_.at(partition), max_records);
}

Event Reader::read(Reading& reading, int64_t max_records) {
  if (reading.end >= 0) return tell_end(reading);
  messages_.resize(static_cast<size_t>(std::max<int64_t>(max_records, 1)));
  const ssize_t count = rd_kafka_consume_batch_queue(reading.queue.get(), 0, messages_.data(), messages_.size());
  if (count <= 0) return {};
  heard_ = true;

  size_t key_bytes = 0, value_bytes = 0;
  for (ssize_t i = 0; i < count; ++i) {
    key_bytes += messages_[static_cast<size_t>(i)]->key_len;
    value_bytes += messages_[static_cast<size_t>(i)]->len + 1;
  }
  auto records = std::make_shared<Records>();
  int64_t end = -1;
  Status failure;
  int64_t rows = 0;
  std::vector<std::pair<int64_t, Headers>> headers;
  {
    Records::Writer writer(*records);
    writer.expect(static_cast<size_t>(count), key_bytes, value_bytes + Records::kPadding);
    for (ssize_t i = 0; i < count; ++i) {
      rd_kafka_message_t& message = *messages_[static_cast<size_t>(i)];
      if (message.err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        end = message.offset;
      } else if (message.err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        if (failure.ok()) failure = failed(reading, message);
        if (failure.code() == Code::kRetriable) failure = Status();  // the library goes on by itself
      } else if (message.offset >= reading.position) {
        rd_kafka_timestamp_type_t type = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        const int64_t timestamp = rd_kafka_message_timestamp(&message, &type);
        add(writer, message, timestamp);
        if (Headers own = headers_of(message); !own.empty()) headers.emplace_back(rows, std::move(own));
        ++rows;
        reading.position = message.offset + 1;
        end = -1;
      }
      rd_kafka_message_destroy(&message);
    }
  }
  for (auto& [row, own] : headers) records->set_headers(row, std::move(own));
  if (!failure.ok()) {
    const TopicPartition partition = reading.partition;
    stop(partition);
    return event::Failed{std::move(failure)};
  }
  reading.end = end;
  if (!records->empty()) return event::Polled{reading.partition, std::move(records), reading.position};
  return end < 0 ? Event() : tell_end(reading);
}

Event Reader::tell_end(Reading& reading) {
  reading.position = std::max(reading.position, std::exchange(reading.end, -1));
  if (reading.told_end == reading.position) return {};
  reading.told_end = reading.position;
  return event::AtEnd{reading.partition, reading.position};
}

// When all brokers were away, librdkafka 2.15.1 may come to rest without a connection: it skips every refresh of the
// leaders ("no usable brokers"), and nothing connects until somebody asks for metadata. It does not always say that a
// connection is gone, so a reader that hears nothing asks.
void Reader::serve(int64_t now_us) {
  rd_kafka_poll(handle_.get(), 0);
  if (std::exchange(heard_, false) || readings_.empty()) quiet_since_us_ = now_us;
  if (now_us - quiet_since_us_ < kQuietUs) return;
  quiet_since_us_ = now_us;
  await_connection(handle_, kConnecting);
}

Status Reader::failed(const Reading& reading, const rd_kafka_message_t& message) const {
  const std::string where =
      "partition " + std::to_string(reading.partition.partition) + " of topic '" + reading.partition.topic + "'";
  if (message.err != RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET && message.err != RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE)
    return status_of(message.err, "reading " + where, rd_kafka_message_errstr(&message));
  int64_t low = -1, high = -1;
  const rd_kafka_resp_err_t error = rd_kafka_query_watermark_offsets(handle_.get(), reading.partition.topic.c_str(),
                                                                     reading.partition.partition, &low, &high, 2'000);
  const std::string range = error == RD_KAFKA_RESP_ERR_NO_ERROR
                                ? ", which goes from " + std::to_string(low) + " to " + std::to_string(high)
                                : "";
  return Status::not_found("offset " + std::to_string(reading.position) + " is not in " + where + range);
}

}  // namespace wrackline::kafka

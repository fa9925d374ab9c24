#include "wrackline/log/local/state.h"

#include <algorithm>

#include "wrackline/core/bytes.h"

namespace wrackline::local {
namespace {

constexpr char kMeta = 'm';
constexpr char kTopic = 't';
constexpr char kProducer = 'x';
constexpr char kPartition = 'p';
constexpr char kEntry = 'r';
constexpr char kAborted = 'a';
constexpr char kGroup = 'g';

template <typename T>
void put_big_endian(std::string& key, T value) {
  for (int shift = 8 * (static_cast<int>(sizeof(T)) - 1); shift >= 0; shift -= 8) {
    key.push_back(static_cast<char>(static_cast<uint64_t>(value) >> shift & 0xff));
  }
}

uint64_t get_big_endian(std::string_view bytes) {
  uint64_t value = 0;
  for (const char c : bytes) value = value << 8 | static_cast<uint8_t>(c);
  return value;
}

std::string in_partition(char kind, uint32_t topic, int32_t partition) {
  std::string key(1, kind);
  put_big_endian(key, topic);
  put_big_endian(key, partition);
  return key;
}

std::string_view as_view(const Bytes& bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

// Calls f(key, value) for every key that begins with `prefix`.
template <typename F>
Status scan(Storage& storage, const std::string& prefix, F f) {
  const auto cursor = storage.cursor(prefix, behind(prefix));
  for (cursor->seek(prefix); cursor->valid(); cursor->next()) {
    WL_RETURN_IF_ERROR(f(cursor->key(), cursor->value()));
  }
  return cursor->status();
}

}  // namespace

std::string version_key() { return std::string(1, kMeta) + "version"; }
std::string id_key() { return std::string(1, kMeta) + "id"; }
std::string topic_key(std::string_view name) { return std::string(1, kTopic).append(name); }
std::string producer_key(std::string_view id) { return std::string(1, kProducer).append(id); }
std::string partition_key(uint32_t topic, int32_t partition) { return in_partition(kPartition, topic, partition); }

std::string entry_key(uint32_t topic, int32_t partition, int64_t base) {
  std::string key = in_partition(kEntry, topic, partition);
  put_big_endian(key, base);
  return key;
}

std::string aborted_key(uint32_t topic, int32_t partition, int64_t last) {
  std::string key = in_partition(kAborted, topic, partition);
  put_big_endian(key, last);
  return key;
}

std::string group_prefix(std::string_view group) {
  std::string key = std::string(1, kGroup).append(group);
  key.push_back('\0');
  return key;
}

std::string group_key(std::string_view group, uint32_t topic, int32_t partition) {
  std::string key = group_prefix(group);
  put_big_endian(key, topic);
  put_big_endian(key, partition);
  return key;
}

int64_t offset_in(std::string_view key) { return static_cast<int64_t>(get_big_endian(key.substr(key.size() - 8))); }

std::string behind(std::string prefix) {
  while (!prefix.empty() && static_cast<uint8_t>(prefix.back()) == 0xff) prefix.pop_back();
  if (!prefix.empty()) ++prefix.back();
  return prefix;
}

void AbortedRanges::add(uint64_t producer, int64_t first, int64_t last) { ranges_[producer].push_back({first, last}); }

bool AbortedRanges::contains(uint64_t producer, int64_t offset) const {
  const auto found = ranges_.find(producer);
  if (found == ranges_.end()) return false;
  const auto range = std::lower_bound(found->second.begin(), found->second.end(), offset,
                                      [](const Range& r, int64_t wanted) { return r.last < wanted; });
  return range != found->second.end() && range->first <= offset;
}

void AbortedRanges::drop_below(int64_t offset) {
  for (auto& [producer, ranges] : ranges_) {
    std::erase_if(ranges, [&](const Range& range) { return range.last < offset; });
  }
  std::erase_if(ranges_, [](const auto& of_producer) { return of_producer.second.empty(); });
}

int64_t Partition::last_stable() const {
  int64_t stable = end;
  for (const OpenTransaction& transaction : open) stable = std::min(stable, transaction.first);
  return stable;
}

Bytes encode_topic(const Topic& topic) {
  ByteWriter writer;
  writer.put(topic.number);
  writer.put(topic.info.partitions);
  writer.put_string(topic.info.id);
  return writer.take();
}

Result<Topic> decode_topic(std::string_view key, std::string_view value) {
  ByteReader reader(value);
  Topic topic;
  topic.info.name = key.substr(1);
  topic.number = reader.get<uint32_t>();
  topic.info.partitions = reader.get<int32_t>();
  topic.info.id = reader.get_string();
  WL_RETURN_IF_ERROR(reader.finish("the record of topic '" + topic.info.name + "'"));
  return topic;
}

Bytes encode_partition(const Partition& partition) {
  ByteWriter writer;
  writer.put(partition.start);
  writer.put(partition.end);
  writer.put(partition.aborts);
  writer.put(static_cast<uint32_t>(partition.open.size()));
  for (const OpenTransaction& transaction : partition.open) {
    writer.put(transaction.producer);
    writer.put(transaction.first);
  }
  return writer.take();
}

Bytes encode_aborted(uint64_t producer, int64_t first) {
  ByteWriter writer;
  writer.put(producer);
  writer.put(first);
  return writer.take();
}

Bytes encode_producer(const Producer& producer) {
  ByteWriter writer;
  writer.put(producer.number);
  writer.put(producer.epoch);
  return writer.take();
}

Bytes encode_committed(const OffsetAndMetadata& committed) {
  ByteWriter writer;
  writer.put(committed.offset);
  writer.put_string(committed.metadata);
  return writer.take();
}

Bytes encode_text(std::string_view text) {
  ByteWriter writer;
  writer.put_bytes(text.data(), text.size());
  return writer.take();
}

Bytes encode_version() {
  ByteWriter writer;
  writer.put(kFormatVersion);
  return writer.take();
}

Result<std::vector<Topic>> load_topics(Storage& storage) {
  std::vector<Topic> topics;
  WL_RETURN_IF_ERROR(scan(storage, std::string(1, kTopic), [&](std::string_view key, std::string_view value) -> Status {
    WL_ASSIGN_OR_RETURN(Topic topic, decode_topic(key, value));
    topic.partitions.resize(static_cast<size_t>(topic.info.partitions));
    topic.loaded.resize(topic.partitions.size());
    topics.push_back(std::move(topic));
    return {};
  }));
  return topics;
}

Status load_partition(Storage& storage, uint32_t topic, int32_t number, Partition& partition) {
  WL_ASSIGN_OR_RETURN(const std::optional<Bytes> value, storage.get(partition_key(topic, number)));
  if (!value) return Status::corruption("the record of a partition is missing");
  Partition loaded;
  ByteReader reader(as_view(*value));
  loaded.start = reader.get<int64_t>();
  loaded.end = reader.get<int64_t>();
  loaded.aborts = reader.get<uint64_t>();
  const auto open = reader.get<uint32_t>();
  for (uint32_t i = 0; i < open && !reader.failed(); ++i) {
    const auto producer = reader.get<uint64_t>();
    loaded.open.push_back({producer, reader.get<int64_t>()});
  }
  WL_RETURN_IF_ERROR(reader.finish("the record of a partition"));

  if (loaded.aborts == partition.aborts && loaded.start == partition.start) {
    loaded.aborted = partition.aborted;
  } else {
    auto aborted = std::make_shared<AbortedRanges>();
    WL_RETURN_IF_ERROR(scan(storage, in_partition(kAborted, topic, number),
                            [&](std::string_view key, std::string_view bytes) -> Status {
                              ByteReader range(bytes);
                              const auto producer = range.get<uint64_t>();
                              aborted->add(producer, range.get<int64_t>(), offset_in(key));
                              return range.finish("an aborted range");
                            }));
    loaded.aborted = std::move(aborted);
  }
  partition = std::move(loaded);
  return {};
}

Result<std::map<std::string, Producer>> load_producers(Storage& storage) {
  std::map<std::string, Producer> producers;
  WL_RETURN_IF_ERROR(scan(storage, std::string(1, kProducer), [&](std::string_view key, std::string_view value) {
    ByteReader reader(value);
    Producer& producer = producers[std::string(key.substr(1))];
    producer.number = reader.get<uint64_t>();
    producer.epoch = reader.get<uint32_t>();
    return reader.finish("the record of a producer");
  }));
  return producers;
}

Result<std::vector<StoredOffset>> load_committed(Storage& storage, std::string_view group) {
  std::vector<StoredOffset> offsets;
  WL_RETURN_IF_ERROR(scan(storage, group_prefix(group), [&](std::string_view key, std::string_view value) {
    ByteReader reader(value);
    StoredOffset stored;
    stored.topic = static_cast<uint32_t>(get_big_endian(key.substr(key.size() - 8, 4)));
    stored.partition = static_cast<int32_t>(get_big_endian(key.substr(key.size() - 4)));
    stored.committed.offset = reader.get<int64_t>();
    stored.committed.metadata = reader.get_string();
    offsets.push_back(std::move(stored));
    return reader.finish("a committed offset");
  }));
  return offsets;
}

Result<std::string> load_id(Storage& storage) {
  WL_ASSIGN_OR_RETURN(const std::optional<Bytes> version, storage.get(version_key()));
  if (!version) return Status::corruption("the format's version is missing");
  ByteReader reader(as_view(*version));
  const auto number = reader.get<uint32_t>();
  WL_RETURN_IF_ERROR(reader.finish("the format's version"));
  if (number != kFormatVersion) {
    return Status::corruption("it has format version " + std::to_string(number) + "; this program knows version " +
                              std::to_string(kFormatVersion));
  }
  WL_ASSIGN_OR_RETURN(const std::optional<Bytes> id, storage.get(id_key()));
  if (!id) return Status::corruption("the log's id is missing");
  return std::string(as_view(*id));
}

}  // namespace wrackline::local
